-- Deploy hartonomous:view_token_positions to pg
-- requires: schema_llm_atoms, table_model_tensor, table_token, table_token_position

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_atoms.token_positions WITH (security_invoker = TRUE) AS
SELECT
    m.name AS model,
    p.token_id,
    t.text AS token,
    t.kind,
    p.h_xy,
    p.h_yz,
    p.h_zm,
    p.geom
FROM llm_store.token_position AS p
INNER JOIN llm_store.model_tensor AS mt ON p.tensor_hash = mt.tensor_hash AND mt.name = 'token_embd.weight'
INNER JOIN llm_store.model AS m ON mt.model_id = m.id
LEFT JOIN llm_store.token AS t ON m.tokenizer_id = t.tokenizer_id AND p.token_id = t.id;

ALTER VIEW llm_atoms.token_positions OWNER TO llm_owner;
GRANT SELECT ON llm_atoms.token_positions TO llm_user;

COMMENT ON VIEW llm_atoms.token_positions IS
'The maps of tokens that llm_atoms.project made: each token by the first four principal components of the '
'model''s token '
'embedding. Tokens that are close on the map need not be close in meaning; for that use llm.similar_tokens.';
COMMENT ON COLUMN llm_atoms.token_positions.model IS 'The model''s name.';
COMMENT ON COLUMN llm_atoms.token_positions.token_id IS 'The token id.';
COMMENT ON COLUMN llm_atoms.token_positions.token IS 'The token as readable text.';
COMMENT ON COLUMN llm_atoms.token_positions.kind IS 'normal, control, byte, added, unused (a padding row) or unknown.';
COMMENT ON COLUMN llm_atoms.token_positions.h_xy IS
'The key of (x, y) on the plane''s Hilbert curve: llm_atoms.hilbert_keys(geom).';
COMMENT ON COLUMN llm_atoms.token_positions.h_yz IS 'The key of (y, z).';
COMMENT ON COLUMN llm_atoms.token_positions.h_zm IS 'The key of (z, m).';
COMMENT ON COLUMN llm_atoms.token_positions.geom IS
'POINT ZM with SRID 3857: the first to the fourth principal component in units of the map.';

COMMIT;
