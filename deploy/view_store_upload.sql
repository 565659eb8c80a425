-- Deploy hartonomous:view_store_upload to pg
-- requires: schema_llm_store, role_llm_loader

-- A view, so that COPY has a target with one column that skips tiles which are stored already. Reading it returns nothing.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_store.upload AS
SELECT NULL::bytea AS content
WHERE FALSE;

ALTER VIEW llm_store.upload OWNER TO llm_owner;
GRANT INSERT ON llm_store.upload TO llm_loader;

COMMENT ON VIEW llm_store.upload IS
'The target of COPY llm_store.upload (content) FROM STDIN BINARY, which stores tiles and skips those that are stored '
'already. No view shows tiles before llm_store.publish makes a model of them.';
COMMENT ON COLUMN llm_store.upload.content IS 'The bytes of a tile, 1 to 1,048,576 of them.';

COMMIT;
