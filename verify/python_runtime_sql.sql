-- Verify hartonomous:python_runtime_sql on pg

BEGIN;

-- What the modules say is verified with the release, which has their digests.
DO $verify$
DECLARE
    module text;
BEGIN
    FOREACH module IN ARRAY '{
        sql__batches, sql__boundary, sql__chat, sql__chat_streaming, sql__choices, sql__chunking, sql__diff,
        sql__editing, sql__embeddings, sql__generation, sql__ingestion, sql__merge, sql__operators,
        sql__packed_cache, sql__prompts, sql__samplers, sql__scoring, sql__search, sql__session, sql__similarity,
        sql__streaming, sql__summaries, sql__token_map, sql__weight_rows
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
