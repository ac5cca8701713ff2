"""The history of the schema, dated and worded; and the one way to bring a database up to date."""
