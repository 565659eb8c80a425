-- Deploy hartonomous:function_pack to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

-- SECURITY DEFINER: it reads weights that its caller may not read, and gives none away; so a role may use a model that
-- it cannot copy. Which roles may use which model is not decided here: they find it through rights of their own.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.pack(model text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.cache.pack(model)
$python$;

REVOKE ALL ON FUNCTION llm.pack(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.pack(text) TO llm_user;
COMMENT ON FUNCTION llm.pack(text) IS
'Packs the weights of a model (default: the database''s default model) into files that all sessions share, unless '
'they are packed; returns their bytes. The first use of a model does it by itself.';

COMMIT;
