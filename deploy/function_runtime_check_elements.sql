-- Deploy hartonomous:function_runtime_check_elements to pg
-- requires: schema_llm_runtime, function_runtime_boot, function_runtime_call_limits

-- PL/Python makes a list of an array, of 10 to 40 times its size, before its function starts. So the size of a large array is
-- checked here. IMMUTABLE, as call_limits is: for constants the planner then evaluates the check first.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.check_array(elements bigint, bytes bigint, what text)
RETURNS boolean
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.boundary.check_array(elements, bytes, what)
$python$;

CREATE FUNCTION llm_runtime.check_elements(elements integer, what text)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
PARALLEL UNSAFE
RETURN (elements > 65536) IS NOT TRUE OR llm_runtime.check_array(elements, 0, what);

CREATE FUNCTION llm_runtime.check_texts(texts text[], what text)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT (count(*) <= 65536 AND coalesce(sum(octet_length(t)), 0) <= 65536)
        OR llm_runtime.check_array(count(*), coalesce(sum(octet_length(t)), 0), what)
    FROM unnest(texts) AS t;
END;

REVOKE ALL ON FUNCTION llm_runtime.check_array(bigint, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.check_array(bigint, bigint, text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.check_array(bigint, bigint, text) IS
E'Returns true, or raises an error (53400) if an array has more elements, or its texts more bytes, than '
'llm_runtime.call_limits() allows.\n'
'what: the name of the argument, for the error.';

REVOKE ALL ON FUNCTION llm_runtime.check_elements(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.check_elements(integer, text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.check_elements(integer, text) IS
'llm_runtime.check_array for the number of elements of an array. NULL and up to 65,536 elements are always allowed.';

REVOKE ALL ON FUNCTION llm_runtime.check_texts(text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.check_texts(text[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.check_texts(text[], text) IS
E'llm_runtime.check_array for an array of texts. NULL, and up to 65,536 elements of up to 65,536 bytes together, are '
'always allowed.';

COMMIT;
