-- Deploy hartonomous:table_number to pg
-- requires: schema_llm_store, role_llm_user

-- generate_series would generate every number before a condition is applied; an index finds one directly. So a view with a row
-- for each number can be queried for one of them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.number (
    n integer NOT NULL,
    CONSTRAINT number_pkey PRIMARY KEY (n)
);
INSERT INTO llm_store.number (n)
SELECT g.n FROM generate_series(0, 262143) AS g (n);
ANALYZE llm_store.number;

ALTER TABLE llm_store.number OWNER TO llm_owner;
GRANT SELECT ON llm_store.number TO llm_user;

COMMENT ON TABLE llm_store.number IS
'The numbers from 0 to 262,143: row and column numbers for views that have a row for each.';
COMMENT ON COLUMN llm_store.number.n IS 'The number.';

COMMIT;
