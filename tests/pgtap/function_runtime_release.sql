-- Rendered from plpython/ by tools/render.py.

BEGIN;
SELECT plan(4);

SELECT is(llm_runtime.release(), 'a5129523f91ac582afb4d89280cfb239fc994691f1c5a3ffa7d5eae45d77f5a4',
    'it is the release of this checkout');
SELECT ok(has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may ask for it');
SELECT set_eq(
    $query$
        SELECT p.proname FROM pg_catalog.pg_proc AS p INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_runtime'::regnamespace AND l.lanname = 'plpython3u'
            AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    $query$,
    '{
        admission, architecture, arguments, atom_rows, atom_runs, atoms, attention_kernels, background, batches,
        blending, cache, candidate_kernels, candidates, ceilings, chunking, comparison, compiled_engine,
        compiled_forward, compiled_operators, cosine_search, database, editing, embedding_columns, embeddings,
        encoder_architecture, encoder_engine, encoder_forward, engines, errors, finite, forward_steps, generation,
        geometry, guessing, hilbert, hilbert_plane, ingestion, kept, kernels, kv_cache, kv_pages, loaded_model,
        long_texts, mapping, matrices, matrix_kernels, merging, moment, numpy_encoder, numpy_engine, numpy_operators,
        operator_kernels, operators, ops, packed_files, packed_model, packing, positions, prefix_cache, projection,
        quant, rewriting, rope_rows, sampling, scheduling, scoring, searching, session_caches, session_models,
        settings, shared_weights, simd, simd_forms, simd_memory, similarity, similarity_kernels, stored_models,
        stored_rows, stored_tokens, tensor_groups, threads, tokenizer, warm_up, weights, wire
    }'::name[],
    'its modules are those of this checkout, no fewer and no more');
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.release()', '42501', NULL, 'a role without rights may not ask for it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
