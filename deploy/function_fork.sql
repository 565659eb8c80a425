-- Deploy hartonomous:function_fork to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.fork(model text, new text)
RETURNS integer
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.fork(model, new)
$python$;

REVOKE ALL ON FUNCTION llm.fork(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.fork(text, text) TO llm_loader;
COMMENT ON FUNCTION llm.fork(text, text) IS
E'Makes a copy of a model under another name, which shares all weights and files, and returns its id.\n'
'No byte is copied. The copy belongs to the caller, who may edit it.\n'
'model: any name from llm.models.\n'
'new: a name that no model has.';

COMMIT;
