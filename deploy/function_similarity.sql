-- Deploy hartonomous:function_similarity to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_check_elements, table_model_tensor

-- A literal without a type resolves to text, the only preferred type of a category among these overloads.
-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.similarity(a text, b text, model text DEFAULT NULL)
RETURNS double precision
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.similarity_of_texts(a, b, model)
$python$;

CREATE FUNCTION llm_runtime.similarity(a double precision[], b double precision[])
RETURNS double precision
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.similarity(a, b)
$python$;

CREATE FUNCTION llm.similarity(a double precision[], b double precision[])
RETURNS double precision
LANGUAGE sql
IMMUTABLE
PARALLEL UNSAFE
COST 1000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(a), 'a') AND llm_runtime.check_elements(cardinality(b), 'b')
        THEN llm_runtime.similarity(a, b)
END;

CREATE FUNCTION llm.similarity(a bytea, b bytea)
RETURNS double precision
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.similarity(a, b)
$python$;

REVOKE ALL ON FUNCTION llm.similarity(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.similarity(text, text, text) TO llm_user;
COMMENT ON FUNCTION llm.similarity(text, text, text) IS
E'How similar two texts are in meaning: the cosine of the angle between their embeddings, from -1 to 1.\n'
'NULL if one of them is NULL.\n'
'a, b: texts.\n'
'model: as in llm.embed.';

REVOKE ALL ON FUNCTION llm_runtime.similarity(double precision[], double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.similarity(double precision[], double precision[]) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.similarity(double precision[], double precision[]) IS
'Called by llm.similarity of double precision[] after it has checked the size of the array.';

ALTER FUNCTION llm.similarity(double precision[], double precision[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.similarity(double precision[], double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.similarity(double precision[], double precision[]) TO llm_user;
COMMENT ON FUNCTION llm.similarity(double precision[], double precision[]) IS
E'The cosine of the angle between two embeddings, from -1 to 1 (the same direction).\n'
'NULL if one of them is NULL or has length 0; infinity or NaN is an error.\n'
'a, b: vectors of one length.';

REVOKE ALL ON FUNCTION llm.similarity(bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.similarity(bytea, bytea) TO llm_user;
COMMENT ON FUNCTION llm.similarity(bytea, bytea) IS
E'The cosine of the angle between two embeddings, from -1 to 1 (the same direction).\n'
'NULL if one of them is NULL or has length 0; infinity or NaN is an error.\n'
'a, b: little-endian float32, as llm.embed_bytes gives.';

COMMIT;
