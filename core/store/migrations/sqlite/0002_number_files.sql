-- The rows of a number list stay in its file: millions of them are read faster from there
-- than from here. `body` of a list names the file; a list that was stored without one is
-- refused until the business folder is applied again.
DROP TABLE number_list_row;
