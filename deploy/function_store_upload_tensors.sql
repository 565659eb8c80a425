-- Deploy hartonomous:function_store_upload_tensors to pg
-- requires: schema_llm_store, function_store_tensors, function_store_atomise_tensors

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.upload_tensors(tensors jsonb)
RETURNS bigint
LANGUAGE sql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT llm_store.atomise_tensors(array_agg(s.hash), array_agg(s.name))
    FROM llm_store.store_tensors(upload_tensors.tensors) AS s;
END;

ALTER FUNCTION llm_store.upload_tensors(jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.upload_tensors(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.upload_tensors(jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.upload_tensors(jsonb) IS
E'Stores tensors whose tiles are stored, and their weight codes, ahead of llm_store.publish, for example on a second '
'connection while other tiles are sent. tensors: [{"name", "type", "shape", "tiles": [SHA-256 in hexadecimal, ...]}, '
'...] as in the manifest.\n'
'Returns how many weights were counted, 0 if everything was stored before. Infinity or NaN in a tensor is an error '
'that names the tensor and the row.\n'
'No view shows them before a model has them. If none ever does, llm.collect removes them.';

COMMIT;
