-- Deploy hartonomous:function_prune to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.prune(
    model text,
    threshold double precision,
    tensors text DEFAULT 'blk.%'
)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.prune(model, threshold, tensors)
$python$;

REVOKE ALL ON FUNCTION llm.prune(text, double precision, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.prune(text, double precision, text) TO llm_loader;
COMMENT ON FUNCTION llm.prune(text, double precision, text) IS
E'Sets the weights of matrices that are smaller in magnitude than a threshold to 0, and returns how many became 0.\n'
'Everything happens in the caller''s transaction: only it sees the change until COMMIT, and after ROLLBACK nothing '
'happened.\n'
'model: a model that belongs to a role whose rights the caller has.\n'
'threshold: 0 or more.\n'
'tensors: which matrices, by a pattern of LIKE; the default is all of the layers, without embedding and head.';

COMMIT;
