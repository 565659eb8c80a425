-- Deploy hartonomous:view_cache to pg
-- requires: function_packed_tensors, table_model_tensor

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.cache WITH (security_invoker = TRUE) AS
WITH owners AS (
    SELECT DISTINCT
        mt.model_id,
        mt.tensor_hash
    FROM llm_store.model_tensor AS mt
),

packed AS (
    SELECT
        pt.tensor_hash,
        max(pt.bytes) AS bytes,
        max(pt.built) AS built,
        max(pt.last_used) AS last_used
    FROM llm.packed_tensors() AS pt
    GROUP BY pt.tensor_hash
)

SELECT
    m.name AS model,
    count(p.tensor_hash)::integer AS tensors,
    (
        SELECT count(*) FROM owners AS a
        WHERE a.model_id = m.id
    )::integer AS of_tensors,
    sum(p.bytes)::bigint AS bytes,
    max(p.built) AS built,
    max(p.last_used) AS last_used
FROM packed AS p
LEFT JOIN owners AS o ON p.tensor_hash = o.tensor_hash
LEFT JOIN llm_store.model AS m ON o.model_id = m.id
GROUP BY m.id, m.name;

ALTER VIEW llm.cache OWNER TO llm_owner;
GRANT SELECT ON llm.cache TO llm_user;

COMMENT ON VIEW llm.cache IS
'Packed weights on the server''s disk, by model. A tensor of several models counts for each of them, a tensor in '
'several files once; llm.packed_tensors() lists them all.';
COMMENT ON COLUMN llm.cache.model IS
'The model''s name. NULL: tensors that no model of this database has, packed for other databases or for dropped '
'models.';
COMMENT ON COLUMN llm.cache.tensors IS 'Tensors of the model that are packed; equal ones count once.';
COMMENT ON COLUMN llm.cache.of_tensors IS 'All tensors of the model; equal ones count once.';
COMMENT ON COLUMN llm.cache.bytes IS 'Bytes of the packed tensors.';
COMMENT ON COLUMN llm.cache.built IS 'When the last of them was packed.';
COMMENT ON COLUMN llm.cache.last_used IS 'When a session last used one of them, to about a minute.';

COMMIT;
