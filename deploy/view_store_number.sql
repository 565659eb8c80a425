-- Deploy hartonomous:view_store_number to pg
-- requires: schema_llm_store, role_llm_user

-- generate_series makes every number before a condition is looked at; an index finds one. So a view that makes a row of
-- each number can be asked for one of them.
-- A dump of a materialized view holds a REFRESH and no rows: it restores into a database that has the numbers already.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE MATERIALIZED VIEW llm_store.number AS
SELECT g.n FROM pg_catalog.generate_series(0, 262143) AS g (n);
CREATE UNIQUE INDEX number_n_idx ON llm_store.number (n);
ANALYZE llm_store.number;

ALTER MATERIALIZED VIEW llm_store.number OWNER TO llm_owner;
GRANT SELECT ON llm_store.number TO llm_user;

COMMENT ON MATERIALIZED VIEW llm_store.number IS
'The numbers from 0 to 262,143, once and for all: rows and columns of matrices, for views that have a row for each.';
COMMENT ON COLUMN llm_store.number.n IS 'The number.';

COMMIT;
