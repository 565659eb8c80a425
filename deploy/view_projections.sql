-- Deploy hartonomous:view_projections to pg
-- requires: schema_llm_atoms, table_model_tensor, table_projection

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_atoms.projections WITH (security_invoker = TRUE) AS
SELECT
    m.name AS model,
    p.explained,
    p.units,
    p.created_at
FROM llm_store.model AS m
INNER JOIN llm_store.model_tensor AS mt ON m.id = mt.model_id AND mt.name = 'token_embd.weight'
INNER JOIN llm_store.projection AS p ON mt.tensor_hash = p.tensor_hash;

ALTER VIEW llm_atoms.projections OWNER TO llm_owner;
GRANT SELECT ON llm_atoms.projections TO llm_user;

COMMENT ON VIEW llm_atoms.projections IS
'The models that have a map of their tokens, and how much of the variance it shows.';
COMMENT ON COLUMN llm_atoms.projections.model IS 'The model''s name.';
COMMENT ON COLUMN llm_atoms.projections.explained IS
'The share of the variance of the embedding along each of the four components, the largest first.';
COMMENT ON COLUMN llm_atoms.projections.units IS 'Units of the map for a distance of 1 between rows of the embedding.';
COMMENT ON COLUMN llm_atoms.projections.created_at IS 'When llm_atoms.project made the map.';

COMMIT;
