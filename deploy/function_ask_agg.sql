-- Deploy hartonomous:function_ask_agg to pg
-- requires: schema_llm, role_llm_owner, function_store_answer_texts, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

-- The state is the question, and behind it the texts.
CREATE FUNCTION llm_store.ask_agg_step(state text[], text text, question text)
RETURNS text[]
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF state IS NULL THEN
        state := ARRAY[question];
    ELSIF state[1] IS DISTINCT FROM question THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'the rows of a group have different questions',
            HINT = 'Give llm.ask_agg one question for all rows of a group.';
    END IF;
    RETURN state || text;
END
$function$;

CREATE FUNCTION llm_store.ask_agg_final(state text[])
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
BEGIN ATOMIC
    SELECT CASE
        WHEN llm_runtime.check_texts(state, 'the texts of llm.ask_agg')
            THEN llm_store.answer_texts('ask_agg', state[2:], state[1])
    END;
END;

ALTER FUNCTION llm_store.ask_agg_step(text[], text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.ask_agg_step(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.ask_agg_step(text[], text, text) TO llm_user;
COMMENT ON FUNCTION llm_store.ask_agg_step(text[], text, text) IS 'Collects the texts of llm.ask_agg.';

ALTER FUNCTION llm_store.ask_agg_final(text[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.ask_agg_final(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.ask_agg_final(text[]) TO llm_user;
COMMENT ON FUNCTION llm_store.ask_agg_final(text[]) IS 'The last step of llm.ask_agg.';

CREATE AGGREGATE llm.ask_agg(text text, question text) ( -- noqa: PRS, sqlfluff does not know it
    SFUNC = llm_store.ask_agg_step,
    STYPE = text[],
    FINALFUNC = llm_store.ask_agg_final
);

ALTER AGGREGATE llm.ask_agg(text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.ask_agg(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.ask_agg(text, text) TO llm_user;
COMMENT ON AGGREGATE llm.ask_agg(text, text) IS
E'Aggregate: the answer to a question from the texts of a group, by the default decoder, with at most 128 tokens, or '
'an eighth of the context. Texts that do not fit into the context together are asked in groups, and then their '
'answers are the texts.\n'
'text: NULLs are left out; no text gives NULL.\n'
'question: the same for all rows of a group; NULL gives NULL.';

COMMIT;
