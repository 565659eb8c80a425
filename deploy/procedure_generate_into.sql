-- Deploy hartonomous:procedure_generate_into to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE PROCEDURE llm_runtime.generate_into(
    query text,
    target regclass,
    model text,
    max_tokens integer,
    temperature double precision,
    top_k integer,
    top_p double precision,
    min_p double precision,
    repeat_penalty double precision,
    seed bigint,
    stop text[],
    options jsonb
)
LANGUAGE plpython3u
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
llm.batches.generate_into(
    query, target, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
)
$python$;

CREATE PROCEDURE llm.generate_into(
    query text,
    target regclass,
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    stop text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
)
LANGUAGE plpgsql
AS $procedure$
BEGIN
    PERFORM llm_runtime.check_texts(stop, 'stop');
    CALL llm_runtime.generate_into(
        query, target, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
    );
END
$procedure$;

REVOKE ALL ON PROCEDURE llm_runtime.generate_into FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE llm_runtime.generate_into TO llm_owner, llm_user;
COMMENT ON PROCEDURE llm_runtime.generate_into IS
'Called by llm.generate_into after it has checked the size of the array.';

ALTER PROCEDURE llm.generate_into OWNER TO llm_owner;
REVOKE ALL ON PROCEDURE llm.generate_into FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE llm.generate_into TO llm_user;
COMMENT ON PROCEDURE llm.generate_into IS
E'Generates text for each row of a query and inserts the results into a table. Commits about once a second, so that '
'finished rows are kept if the call is cancelled or the server stops.\n'
'query: returns (id, prompt), as for llm.generate_query. If it leaves out ids that the table already has, calling '
'again continues where the last call stopped.\n'
'target: a table with the columns id, of any type that the query''s ids can be read as, response text, finish_reason '
'text, tokens integer and error text.\n'
'Query and table are accessed with the caller''s rights.\n'
'Call it outside of a transaction block.\n'
'Other arguments are those of llm.generate_many.';

COMMIT;
