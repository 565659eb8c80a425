-- Deploy hartonomous:view_upload to pg
-- requires: schema_llm, role_llm_loader

-- A view, so that COPY has a target with one column whose rows may be there already. Reading it gives nothing.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.upload AS
SELECT NULL::bytea AS content
WHERE FALSE;

ALTER VIEW llm.upload OWNER TO llm_owner;
GRANT INSERT ON llm.upload TO llm_loader;

COMMENT ON VIEW llm.upload IS
'COPY llm.upload (content) FROM STDIN BINARY stores tiles; those that are there already are skipped. No view shows '
'them before llm.publish makes a model of them.';
COMMENT ON COLUMN llm.upload.content IS 'The bytes of a tile, 1 to 1,048,576 of them.';

COMMIT;
