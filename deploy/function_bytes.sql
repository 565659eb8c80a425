-- Deploy hartonomous:function_bytes to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.bytes(numbers double precision[])
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.bytes_of(numbers)
$python$;

CREATE FUNCTION llm.bytes(numbers double precision[])
RETURNS bytea
LANGUAGE sql
IMMUTABLE
PARALLEL UNSAFE
COST 1000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(numbers), 'numbers') THEN llm_runtime.bytes(numbers)
END;

REVOKE ALL ON FUNCTION llm_runtime.bytes(double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.bytes(double precision[]) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.bytes(double precision[]) IS
'Called by llm.bytes after it has checked the size of the array.';

ALTER FUNCTION llm.bytes(double precision[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.bytes(double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.bytes(double precision[]) TO llm_user;
COMMENT ON FUNCTION llm.bytes(double precision[]) IS
E'Converts numbers to an activation: the inverse of llm.floats.\n'
'numbers: rounded to float32. NULL gives NULL. NULL elements and numbers beyond float32 are errors.';

COMMIT;
