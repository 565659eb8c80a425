-- Deploy hartonomous:function_tidy to pg
-- requires: schema_llm, role_llm_owner, function_generate

-- The kinds are those of tidy/RULES.md; tests/tools/test_tidy_kinds.py compares them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.tidy(kind text, value text, model text DEFAULT 'tidy')
RETURNS text
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
COST 10000
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $tidy$
DECLARE
    kinds CONSTANT text[] := ARRAY[
        'date', 'date_us', 'date_eu', 'time', 'money', 'duration', 'quantity', 'percent', 'boolean', 'phone'
    ];
    longest CONSTANT integer := 100;
BEGIN
    IF kind <> ALL (kinds) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = format('there is no kind "%s" of values', kind),
            HINT = format('Kinds are %s.', array_to_string(kinds, ', '));
    END IF;
    IF kind IS NULL OR value IS NULL OR octet_length(value) > longest THEN
        RETURN NULL;
    END IF;
    RETURN nullif(llm.generate(kind || ': ' || value, model), 'unknown');
END
$tidy$;

ALTER FUNCTION llm.tidy(text, text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.tidy(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.tidy(text, text, text) TO llm_user;
COMMENT ON FUNCTION llm.tidy(text, text, text) IS
E'The value that somebody typed in the form that PostgreSQL casts, or NULL if it cannot be read: '
'llm.tidy(''date'', arrives)::date.\n'
'kind: date, date_us (month before day), date_eu (day before month), time, money, duration, quantity, percent, '
'boolean or phone; another kind is an error. NULL gives NULL.\n'
'value: one of more than 100 bytes cannot be read. NULL gives NULL.\n'
'model: the bundled model, unless it was loaded under another name.';

COMMIT;
