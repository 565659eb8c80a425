-- Verify hartonomous:python_runtime_generate on pg

BEGIN;

-- What the modules say is verified with the release, which has their digests.
DO $verify$
DECLARE
    module text;
BEGIN
    FOREACH module IN ARRAY '{
        generate__answer_stream, generate__answers, generate__candidates, generate__chat_prompts,
        generate__chat_templates, generate__constraints, generate__continuations, generate__draft_model,
        generate__interfaces, generate__json_schemas, generate__prefix_cache, generate__prompt_lookup,
        generate__sampling, generate__scheduler, generate__speculation
    }'::text[] LOOP
        ASSERT EXISTS (
            SELECT FROM pg_catalog.pg_proc AS p
            INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
            INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
            WHERE p.oid = format('llm_runtime.%I()', module)::regprocedure AND l.lanname = 'plpython3u' AND r.rolsuper
        ), module || ' is not Python that a superuser owns';
        ASSERT NOT has_function_privilege('public', format('llm_runtime.%I()', module), 'EXECUTE'),
            'PUBLIC may execute ' || module;
    END LOOP;
END
$verify$;

ROLLBACK;
