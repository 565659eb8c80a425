-- Deploy hartonomous:view_atom_layer to pg
-- requires: table_model_tensor

-- A layer's identity is the hash over its tensors, as a model's is; equal layers of different models are one atom.
-- A number has one spelling, so that a layer's tensors are those whose names begin with blk., it and a dot.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_store.atom_layer WITH (security_invoker = TRUE) AS
SELECT
    l.model_id,
    l.layer,
    count(*) AS tensors,
    min(l.ordinal) AS ordinal,
    sha256('layer\012'::bytea || string_agg(
        convert_to(l.part || E'\n', 'UTF8') || l.tensor_hash, ''::bytea ORDER BY l.part COLLATE pg_catalog."C"
    )) AS hash
FROM (
    SELECT
        mt.model_id,
        mt.ordinal,
        mt.tensor_hash,
        split_part(mt.name, '.', 2)::integer AS layer,
        substring(mt.name FROM '^blk\.[0-9]+\.(.*)$') AS part
    FROM llm_store.model_tensor AS mt
    WHERE mt.name ~ '^blk\.(0|[1-9][0-9]{0,5})\.'
) AS l
GROUP BY l.model_id, l.layer;

ALTER VIEW llm_store.atom_layer OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom_layer TO llm_user;

COMMENT ON VIEW llm_store.atom_layer IS
'The layers of each model: the tensors blk.N.*, with N without leading zeros. Other tensors are in no layer.';
COMMENT ON COLUMN llm_store.atom_layer.model_id IS 'The model.';
COMMENT ON COLUMN llm_store.atom_layer.layer IS 'The layer, from 0.';
COMMENT ON COLUMN llm_store.atom_layer.tensors IS 'The number of its tensors.';
COMMENT ON COLUMN llm_store.atom_layer.ordinal IS 'The position of its first tensor in the model.';
COMMENT ON COLUMN llm_store.atom_layer.hash IS
'SHA-256 of "layer", a newline, and for each tensor in the order of names its name within the layer, a newline and '
'its hash.';

COMMIT;
