-- Deploy hartonomous:function_store_raise_late to pg
-- requires: schema_llm_store, function_runtime_boot

-- For an error in a later row of a function, PL/Python only says "error fetching next item from iterator". So such a function
-- returns the error in a column, and the SQL function around it raises it here with its own message.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.raise_late(failure text)
RETURNS boolean
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.boundary.raise_late(failure)
$python$;

REVOKE ALL ON FUNCTION llm_store.raise_late(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.raise_late(text) TO llm_user;
COMMENT ON FUNCTION llm_store.raise_late(text) IS
'Raises the error that ended the rows of a function, given as a JSON array of SQLSTATE, message, DETAIL and HINT.';

COMMIT;
