-- Deploy hartonomous:function_chunk to pg
-- requires: schema_llm, role_llm_owner, function_store_chunk_rows, function_store_raise_late

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chunk(
    text text,
    model text DEFAULT NULL,
    tokens integer DEFAULT NULL,
    overlap integer DEFAULT NULL
)
RETURNS TABLE (ordinal integer, chunk text, first integer, token_count integer)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 20
BEGIN ATOMIC
    SELECT
        (r.computed).ordinal AS ordinal,
        (r.computed).chunk AS chunk,
        (r.computed).first AS first,
        (r.computed).token_count AS token_count
    FROM (SELECT llm_store.chunk_rows(text, model, tokens, overlap) AS computed) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.chunk(text, text, integer, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chunk(text, text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chunk(text, text, integer, integer) TO llm_user;
COMMENT ON FUNCTION llm.chunk(text, text, integer, integer) IS
E'A text in chunks of so many tokens that an embedding reads them whole, a row each: ordinal (from 1), chunk, first '
'(the place of its first character in the text, from 1), token_count.\n'
'A chunk ends with a sentence where one ends in its second half, else with a word, else where it is full; the next '
'one begins with a sentence or a word among its last tokens.\n'
'text: NULL or one that is blank gives no rows.\n'
'model: whose tokens are counted, as llm.embed has it.\n'
'tokens: the most in a chunk, NULL is 128 or what the model reads if that is less.\n'
'overlap: how many tokens of a chunk the next may repeat, NULL is 16 or half of tokens if that is less; 0 repeats '
'none.';

COMMIT;
