-- One row a passenger. The deck is the first letter of the cabin.
SELECT ticket, survived, class, sex, age, siblings + parents AS family, fare, substr(cabin, 1, 1) AS deck, port
FROM passengers
