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
E'Sets weights of matrices whose magnitude is below a threshold to 0. Returns how many became 0.\n'
'The edit is part of the caller''s transaction: others see it after COMMIT, and ROLLBACK undoes it.\n'
'model: its owner must be the caller or a role whose rights the caller has.\n'
'threshold: 0 or more.\n'
'tensors: a LIKE pattern for the names of the matrices; the default is all matrices of the layers, without the token '
'embedding and the output head.';

COMMIT;
