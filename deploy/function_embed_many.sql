-- Deploy hartonomous:function_embed_many to pg
-- requires: schema_llm, role_llm_owner, function_store_embed_many_rows, function_store_raise_late, function_runtime_check_elements

-- The size of an array is judged before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embed_many(texts text[], model text DEFAULT NULL, pooling text DEFAULT NULL)
RETURNS TABLE (ordinal integer, embedding bytea)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 100
BEGIN ATOMIC
    SELECT
        (r.computed).ordinal AS ordinal,
        (r.computed).embedding AS embedding
    FROM (
        SELECT llm_store.embed_many_rows(texts, model, pooling) AS computed
        WHERE llm_runtime.check_texts(texts, 'texts')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.embed_many(text[], text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.embed_many(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embed_many(text[], text, text) TO llm_user;
COMMENT ON FUNCTION llm.embed_many(text[], text, text) IS
E'The embeddings of many texts, a row each in their order: ordinal (from 1, the place of the text), embedding '
'(little-endian float32; llm.floats shows its numbers).\n'
'Texts of like length share passes, without padding.\n'
'texts: one that is NULL has the embedding NULL; NULL gives no rows. A text that the model''s tokenizer cannot encode '
'has the embedding NULL too, and a warning tells how many there are and why.\n'
'Other arguments are those of llm.embed.\n'
'model: a name of llm.models; NULL is the default encoder, and where there never was one the default '
'decoder.\n'
'pooling: how the vectors of its tokens become one: mean, or cls (the first token''s) of an encoder, or last of a '
'decoder; NULL is what an encoder''s configuration says, and mean for a decoder.\n'
'A text longer than the model reads is cut off: an encoder''s at its longest_text tokens, as sentence-transformers '
'does, a decoder''s at its context length.\n'
'The vector has length 1, unless an encoder''s configuration says otherwise.';

COMMIT;
