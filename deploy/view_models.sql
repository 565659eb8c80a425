-- Deploy hartonomous:view_models to pg
-- requires: schema_llm, table_model_tensor, table_default_model

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.models WITH (security_invoker = TRUE) AS
SELECT
    m.name,
    m.architecture ->> 'family' AS family,
    t.parameters,
    t.bytes,
    (m.architecture ->> 'layers')::integer AS layers,
    (m.architecture ->> 'context_length')::integer AS context_length,
    (m.architecture ->> 'vocabulary_size')::integer AS tokens,
    m.container,
    m.owner,
    m.id IN (SELECT d.model_id FROM llm_store.default_model AS d WHERE d.model_id IS NOT NULL) AS is_default,
    m.created_at,
    m.hash
FROM llm_store.model AS m
CROSS JOIN LATERAL (
    SELECT
        -- A tensor has one to four dimensions.
        sum(s.shape[1] * coalesce(s.shape[2], 1) * coalesce(s.shape[3], 1) * coalesce(s.shape[4], 1))::bigint
            AS parameters,
        sum(s.bytes)::bigint AS bytes
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.tensor AS s ON mt.tensor_hash = s.hash
    WHERE mt.model_id = m.id
) AS t;

ALTER VIEW llm.models OWNER TO llm_owner;
GRANT SELECT ON llm.models TO llm_user;

COMMENT ON VIEW llm.models IS 'The models of this database.';
COMMENT ON COLUMN llm.models.name IS 'The name, as functions take it.';
COMMENT ON COLUMN llm.models.family IS
'The model family, such as llama or qwen3. bert is an encoder, which embeds texts; all others are decoders, which '
'generate.';
COMMENT ON COLUMN llm.models.parameters IS 'The number of weights in all tensors.';
COMMENT ON COLUMN llm.models.bytes IS
'Bytes of all tensors in their own encoding, shared tiles included.';
COMMENT ON COLUMN llm.models.layers IS 'Transformer layers.';
COMMENT ON COLUMN llm.models.context_length IS 'The most tokens of prompt and continuation together.';
COMMENT ON COLUMN llm.models.tokens IS 'Rows of the vocabulary, including padding rows.';
COMMENT ON COLUMN llm.models.container IS 'The format that it was loaded from: gguf or huggingface.';
COMMENT ON COLUMN llm.models.owner IS 'The role that loaded it. Roles with its rights may drop it.';
COMMENT ON COLUMN llm.models.is_default IS
'Whether functions use it when no model is named; at most one decoder and one encoder.';
COMMENT ON COLUMN llm.models.created_at IS 'When it was published.';
COMMENT ON COLUMN llm.models.hash IS
'SHA-256 over architecture, tokenizer and tensors. Equal models have equal hashes.';

COMMIT;
