-- Deploy hartonomous:function_summarize_agg to pg
-- requires: schema_llm, role_llm_owner, function_store_answer_texts, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.summarize_agg_final(texts text[])
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
BEGIN ATOMIC
    SELECT CASE
        WHEN llm_runtime.check_texts(texts, 'the texts of llm.summarize_agg')
            THEN llm_store.answer_texts('summarize', texts, NULL)
    END;
END;

ALTER FUNCTION llm_store.summarize_agg_final(text[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.summarize_agg_final(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.summarize_agg_final(text[]) TO llm_user;
COMMENT ON FUNCTION llm_store.summarize_agg_final(text[]) IS 'The last step of llm.summarize_agg.';

CREATE AGGREGATE llm.summarize_agg(text text) ( -- noqa: PRS, sqlfluff does not know it
    SFUNC = pg_catalog.array_append,
    STYPE = text[],
    FINALFUNC = llm_store.summarize_agg_final
);

ALTER AGGREGATE llm.summarize_agg(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.summarize_agg(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.summarize_agg(text) TO llm_user;
COMMENT ON AGGREGATE llm.summarize_agg(text) IS
E'Aggregate: a summary of the texts of a group, by the default decoder, with at most 128 tokens, or an eighth of the '
'context. Texts that do not fit into the context together are summarized in groups, and then the summaries are.\n'
'text: NULLs are left out; no text gives NULL. summarize_agg(body ORDER BY id) says in which order they are read.';

COMMIT;
