-- Deploy hartonomous:function_warm_up to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.warm_up(measure boolean DEFAULT FALSE)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.warm_up(measure)
$python$;

REVOKE ALL ON FUNCTION llm.warm_up(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.warm_up(boolean) TO llm_loader;
COMMENT ON FUNCTION llm.warm_up(boolean) IS
E'Compiles the engine for this server''s processor, if that was not done yet, and says which engine computes then.\n'
'It takes about a minute and is needed once a release. Until then llm.engine = auto computes with numpy.\n'
'Then it measures how far ahead this machine should prefetch weights. measure => true measures that again, for\n'
'example if the machine was busy. Sessions that begin later use the new distances.';

COMMIT;
