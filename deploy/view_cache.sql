-- Deploy hartonomous:view_cache to pg
-- requires: function_packed_tensors, table_model_tensor

-- security_invoker: the reader's own rights decide which models are there.
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
'Packed weights on the server''s disk by model. A tensor that several models share is counted for each, one '
'that lies in several files once: llm.packed_tensors() lists them all.';
COMMENT ON COLUMN llm.cache.model IS
'The model''s name; NULL: what no model of this database has, packed for other databases or for models since dropped.';
COMMENT ON COLUMN llm.cache.tensors IS 'Tensors of the model that are packed, equal ones once.';
COMMENT ON COLUMN llm.cache.of_tensors IS 'Tensors of the model, equal ones once.';
COMMENT ON COLUMN llm.cache.bytes IS 'Bytes of these tensors in the files.';
COMMENT ON COLUMN llm.cache.built IS 'When the last of them was packed.';
COMMENT ON COLUMN llm.cache.last_used IS 'When a session used one of them last, give or take a minute.';

COMMIT;
