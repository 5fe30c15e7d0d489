-- What the model of house values learns from: one row a district, those with a missing value left out.
SELECT district, med_inc, house_age, ave_rooms, ave_bedrms, population, ave_occup, latitude, longitude, med_house_val
FROM housing
WHERE med_inc IS NOT NULL AND house_age IS NOT NULL AND ave_rooms IS NOT NULL AND ave_bedrms IS NOT NULL
  AND population IS NOT NULL AND ave_occup IS NOT NULL AND latitude IS NOT NULL AND longitude IS NOT NULL
