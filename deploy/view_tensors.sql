-- Deploy hartonomous:view_tensors to pg
-- requires: schema_llm, table_model_tensor, table_tensor_tile

-- security_invoker: the reader's own rights decide which models are there.
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
'The tensor''s name in GGUF''s scheme, which operators take: blk.0.attn_q.weight.';
COMMENT ON COLUMN llm.tensors.type IS 'The encoding: F32, F16, BF16, Q8_0, ...';
COMMENT ON COLUMN llm.tensors.shape IS 'Dimensions as numpy orders them: {rows, columns}.';
COMMENT ON COLUMN llm.tensors.bytes IS 'Bytes in that encoding.';
COMMENT ON COLUMN llm.tensors.tiles IS 'Tiles that the bytes are stored in.';
COMMENT ON COLUMN llm.tensors.ordinal IS 'The place of the tensor in its file, from 0.';
COMMENT ON COLUMN llm.tensors.hash IS
'The identity of type, shape and bytes: equal tensors of any models have equal hashes.';

COMMIT;
