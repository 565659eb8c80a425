-- Deploy hartonomous:view_tensors to pg
-- requires: schema_llm, table_model_tensor, table_tensor_tile

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.tensors WITH (security_invoker = TRUE) AS
SELECT
    m.name AS model,
    mt.name,
    t.type,
    t.shape,
    t.bytes,
    (SELECT count(*) FROM llm_store.tensor_tile AS tt WHERE tt.tensor_hash = t.hash)::integer AS tiles,
    mt.ordinal,
    t.hash
FROM llm_store.model AS m
INNER JOIN llm_store.model_tensor AS mt ON m.id = mt.model_id
INNER JOIN llm_store.tensor AS t ON mt.tensor_hash = t.hash;

ALTER VIEW llm.tensors OWNER TO llm_owner;
GRANT SELECT ON llm.tensors TO llm_user;

COMMENT ON VIEW llm.tensors IS 'The tensors of each model.';
COMMENT ON COLUMN llm.tensors.model IS 'The model''s name.';
COMMENT ON COLUMN llm.tensors.name IS
'The tensor''s GGUF name, as operators take it: blk.0.attn_q.weight.';
COMMENT ON COLUMN llm.tensors.type IS 'The encoding: F32, F16, BF16, Q8_0, ...';
COMMENT ON COLUMN llm.tensors.shape IS 'Dimensions in numpy''s order: {rows, columns}.';
COMMENT ON COLUMN llm.tensors.bytes IS 'Bytes in that encoding.';
COMMENT ON COLUMN llm.tensors.tiles IS 'The number of its tiles.';
COMMENT ON COLUMN llm.tensors.ordinal IS 'The position of the tensor in its file, from 0.';
COMMENT ON COLUMN llm.tensors.hash IS
'Names type, shape and bytes: equal tensors of any models have equal hashes.';

COMMIT;
