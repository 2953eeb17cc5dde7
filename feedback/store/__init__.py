"""The database: schema, engine, repositories, unit of work. The only SQLAlchemy in product code."""
