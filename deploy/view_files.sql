-- Deploy hartonomous:view_files to pg
-- requires: view_store_file_pieces

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.files WITH (security_invoker = TRUE) AS
SELECT
    p.model,
    p.path,
    coalesce(sum(octet_length(p.content)), 0)::bigint AS bytes,
    count(DISTINCT p.tensor)::integer AS tensors
FROM llm_store.file_pieces AS p
GROUP BY p.model, p.path;

ALTER VIEW llm.files OWNER TO llm_owner;
GRANT SELECT ON llm.files TO llm_user;

COMMENT ON VIEW llm.files IS
'The files that a model was loaded from; `hartonomous export` writes them again. A model from llm.merge or '
'llm.quantize has none.';
COMMENT ON COLUMN llm.files.model IS 'The model''s name.';
COMMENT ON COLUMN llm.files.path IS 'The file''s path below the folder that was loaded, or its name.';
COMMENT ON COLUMN llm.files.bytes IS 'The length of the file.';
COMMENT ON COLUMN llm.files.tensors IS 'Tensors of the model that are in the file.';

COMMIT;
