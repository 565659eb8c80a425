-- Verify hartonomous:python_runtime_kernels on pg

BEGIN;

-- What the modules say is verified with the release, which has their digests.
DO $verify$
DECLARE
    module text;
BEGIN
    FOREACH module IN ARRAY '{
        kernels__attention, kernels__blocks, kernels__candidates, kernels__cosine, kernels__dispatch,
        kernels__elementwise, kernels__floats, kernels__grids, kernels__groups, kernels__kv_pages,
        kernels__layouts__bf16, kernels__layouts__f16, kernels__layouts__f32, kernels__layouts__iq1,
        kernels__layouts__iq2, kernels__layouts__iq3s, kernels__layouts__iq3xxs, kernels__layouts__iq4,
        kernels__layouts__iq4xs, kernels__layouts__mxfp4, kernels__layouts__q2k, kernels__layouts__q3k,
        kernels__layouts__q4, kernels__layouts__q4_1, kernels__layouts__q4k, kernels__layouts__q5,
        kernels__layouts__q5_1, kernels__layouts__q5k, kernels__layouts__q6k, kernels__layouts__q8,
        kernels__matrix, kernels__packers, kernels__packing, kernels__panels, kernels__prefetching,
        kernels__products, kernels__similarity, kernels__starts, kernels__superblocks
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
