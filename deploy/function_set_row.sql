-- Deploy hartonomous:function_set_row to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise, function_store_atomise_edited

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_row(model text, tensor text, row_number integer, numbers bytea)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.set_row(model, tensor, row_number, numbers)
$python$;

REVOKE ALL ON FUNCTION llm.set_row(text, text, integer, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_row(text, text, integer, bytea) TO llm_loader;
COMMENT ON FUNCTION llm.set_row(text, text, integer, bytea) IS
E'Replaces the values of one row of a tensor; only the row''s tile is written.\n'
'Values are rounded to the tensor''s encoding. Returns the largest rounding error, 0 if all values are exact.\n'
'The edit is part of the caller''s transaction: others see it after COMMIT, and ROLLBACK undoes it.\n'
'model: its owner must be the caller or a role whose rights the caller has.\n'
'tensor: a name from llm.tensors.\n'
'row_number: from 0; in token_embd.weight and output.weight a row is a token.\n'
'numbers: little-endian float32, one for each column, as llm.bytes makes them.';

COMMIT;
