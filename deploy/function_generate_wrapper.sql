-- Deploy hartonomous:function_generate_wrapper to pg
-- requires: function_generate

-- The schema is chosen at deploy time: sqitch deploy --set generate_schema=app
BEGIN;
SET LOCAL lock_timeout = '5s';
SELECT pg_catalog.set_config('llm.generate_schema', :'generate_schema', TRUE);

DO $check$
DECLARE
    chosen CONSTANT text := pg_catalog.current_setting('llm.generate_schema');
BEGIN
    IF pg_catalog.to_regnamespace(pg_catalog.quote_ident(chosen)) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = '3F000',
            MESSAGE = pg_catalog.format('there is no schema %I for the short generate(prompt)', chosen),
            HINT = 'Create it, or choose another one with --set generate_schema=NAME.';
    END IF;
    IF pg_catalog.to_regprocedure(pg_catalog.format('%I.generate(text)', chosen)) IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = '42723',
            MESSAGE = pg_catalog.format('there is already a function %I.generate(text)', chosen),
            HINT = 'It was not changed. Choose another schema with --set generate_schema=NAME.';
    END IF;
END
$check$;

-- What follows stands in that schema, whose name only psql knows.
SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(:'generate_schema'), TRUE);

CREATE FUNCTION generate(prompt text)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
RETURN llm.generate(prompt);

ALTER FUNCTION generate(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION generate(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION generate(text) TO llm_user;
COMMENT ON FUNCTION generate(text) IS
'Generates text with the default model, as llm.generate(prompt): at most 128 tokens.';

COMMIT;
