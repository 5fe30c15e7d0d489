-- What the price model learns from: one row a ticker and trading day.
SELECT trading_day, ticker_symbol, sector, change, price
FROM stock_table
