-- Verify hartonomous:function_runtime_release on pg

BEGIN;

-- The one place that has the digest of each module: a module that differs is named.
DO $verify$
DECLARE
    digests text;
    wrong text;
BEGIN
    WITH
    expected (module, digest) AS (
        VALUES
        ('atoms__atom_rows', '56fda290b585dcd21a4dda3bbb6c00146c5ee74e7e41fc2febae7b36aba3f80f'),
        ('atoms__atom_runs', '37042d8ab79029b5682e6d20fe41b8a03f638a1408f0cadb060b43c62d047468'),
        ('atoms__atoms', '8952eb1cc266b038a87eb3a0518974ade45a0d18eeede291757ac0361eb03e7c'),
        ('atoms__geometry', '9afa2d140b968cc4f349e279f7a6b907551871512c8b860a2628d221d6a2919d'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'cb127541e25d0512c6c166adde661cef6c6b8d9d8bf708b89c6610ae9c855c51'),
        ('atoms__projection', '98fa0b41ce358e52adda88a83f6adb7d2e0654107467230412c3bb4e0dd9079f'),
        ('atoms__sql_literals', '56e81753792a8621db85a8d71292822a6939cb7f76e9c90e099d948fb8f6e97a'),
        ('atoms__token_map', '580126730cb3390b2c84f78b57e20606efff3c7eb64cc5bd62c40927a47cbb27'),
        ('engine__composed', 'f9ffe5760bff7b9f8ca6c222998d0c128a7d761a41fbf976426464360ea3d562'),
        ('engine__decoder', '2ed7b1fa78949c34f40ba24e4c11b7ff17fd2f561b88a2f020d554a49a820b4b'),
        ('engine__decoder_pass', 'fe4c9cf7b1f2557a42d425d01f3a0e64f74fc7ead6c712d9abd54e0d254ee78f'),
        ('engine__encoder', 'de987c483aa4b1c1e2d273c7dfc1c43036fdc37fa1417529b43ad4742650bafb'),
        ('engine__encoder_pass', 'b541885617a6ee6417a858ce04c1879dbfbb2302a4220517a6d21a77ea72334d'),
        ('engine__kv_cache', 'eb0174d3f56638a19c1682c2dd3eedffaf81f98ce787ccc0ee5b172147c9179c'),
        ('engine__operator_entries', '36ca041dee3c43854c7aa451ea27182c045e596e80c63c24d81bff15f2ea0613'),
        ('engine__steps', 'a8a06d05c1a55ae6a69c47f9a1ceec119b6c9396b9aa7c7b2af1b7312681c11a'),
        ('engine__warm_up', 'da3c7d2bab2b6d846b7e654c77cfa933912427f389df001bb31e79787cbbfa43'),
        ('generate__candidates', '9e13763f64b18c36451591831a3c2fc13e717e66ebaba8768cde4c12d75ab2c5'),
        ('generate__interfaces', 'd1822384890aa8c6a164df339201311dec2b3136c277a9297eb9810e9e1300d7'),
        ('generate__prefix_cache', '08692f6356ae79be4d0253e55471ebe864894b27a55c77aa354d352093bb3fbe'),
        ('generate__prompt_lookup', 'd3dc1c828b43d895193c2be382e67bf569397dfedb8e4f34eceec70160c2adaa'),
        ('generate__sampling', 'b1c3cf7ffe00df137587939c94592af60d9773193537e4cd8ed50798f3ffb99d'),
        ('generate__scheduler', '1cb1e7aa3329dcd5e704bd589853acc0b5537e6926438edcf91ee35e73e58357'),
        ('kernels__attention', '7c74ac91da4afa473e4dfc05301c870dcbff11e2bcc46cf000b6c750616d1b60'),
        ('kernels__candidates', '1ec67d1cd64f1b4db7c68034af7c0a38506cab974ffb03c1a18d7708dadb931d'),
        ('kernels__cosine', 'a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377'),
        ('kernels__elementwise', '0d7b5045a3b6052fb9a978697f94782e256b4f53741685478d408133667b19da'),
        ('kernels__kv_pages', '7032172b2254b21d0f08c025602a4b8ed846ae7b3608b44130b2a308da3a580b'),
        ('kernels__matrix', 'cf78051f8ae19ef282ca13f55ffc6926ae0cf9cffd0fdb1728e7f3a02cf64cc1'),
        ('kernels__packing', '47e15f52635e80494ad2d3f2b3997cc1448a7709378ef12aa471879037b84e62'),
        ('kernels__similarity', '78308476956a961b65e15b9bf2821c8f72bb91371e6685bd6b3fbfced68517df'),
        ('model__decoder', '01a99b79c51e4c090e9e5ca99b32e62179684e83de18935cabbfa09b8c191838'),
        ('model__encoder', 'fec8972893aebab3fca50fd39f00514944a36a455a68360a52d44419e828416e'),
        ('model__encodings', 'a881c5883ccb3732aac2225975ad3a683aa710b40390b8871b51922c204075ba'),
        ('model__finite', '8cc230fff63d03cdf6d08d50dcbc324f081ba270729c6b2dd1c0c5688ff2e28c'),
        ('model__long_texts', 'cc301a58be527b51a3971ff764e0eeac42d6e269790f3ec8bcc385ed67e01125'),
        ('model__rope_rows', '2edc4e305a5df64df63433899266b7a22a3aac8506de8128367d0c868c293348'),
        ('model__tokenizer', 'e2364ef16c94c8ddad10e21bcc6c9ef147d182ea021a4ac017830650aa01abe4'),
        ('reference__composed', '49eb3e42e0da8b7517596cf2019af16868d165601f3f1ecede2dbde6b656c016'),
        ('reference__decoder', '1e1767fa66c6eb3fa27f651588bce3786fa14b1713844d5864ddbb45e921789d'),
        ('reference__encoder', '6d8bdc1392ce36005abb17345368f72f56c58bd8fe543637c65eb7236032295b'),
        ('reference__operators', '13552bc8053a7c7e8cd614be1f2c298dadc2e725bcafa74cd43399d377eaab22'),
        ('server__arguments', '051a2f31014cd3695e47009b2f4312bd937b3e373ce2818c4ec3609cc479d34b'),
        ('server__background', 'e93b7c79346d3b6adb781f5647985c9ada08386dcbe353e4e9b1cafdb7b182fe'),
        ('server__ceilings', '07aa3b7a8d95897558189ff0744b80fb41fe7c5e74d52f784a126e1a754985ac'),
        ('server__connection', '1fb27a1b25ce082e8faed179ea013a2ad8f1e3cfd24d6ee146d606af53d24d9d'),
        ('server__database', 'e43d87405f82db0bf2d51aa678c104c044fa6223e2628f4a33082bd913056309'),
        ('server__errors', '72c6033176f21814481d2289095327cf265fa61ce0acaca627001aaa082048e9'),
        ('server__interrupts', '3450860b980b6f63c364290784a1724b4c4f7921e016a7e508084e89a632eedf'),
        ('server__messages', '4a5ca7cf5461e02d5c9118c4747531540cc38298f87f3c9e61bdc18f719e26b6'),
        ('server__module_files', 'c02df2b96f01f1e4d133d467eecdd30bdb4090fd7e49082c01070394b051ffe5'),
        ('server__server_variables', 'c2559e7464841ef3fcd74a32eee22147c712e547986ee7638dd3348d45dce474'),
        ('server__settings', '35616ec6861ac939684e6b247171adcaf968f2e1ccc3322bff0b239ee945a3fc'),
        ('server__spi', 'ce4a9e0ca0328cbb3f1ba9497e20b7c9bbb49e2b8ffae47ede833a2626afbe2f'),
        ('server__sql_errors', '98d0fe06d6621c8ea4e9d565cde46e1c094bd7e63627149cf55a6fac9b3f530d'),
        ('server__statement_clock', 'd8a6a78fbdeaacf562d5eb3619cbd1a286eeb188f0c58230a3d94d1e405a2ecf'),
        ('server__streams', '5736083f523373616f0c6db8e51537df75ce399788199067d41e95a81e3d8383'),
        ('session__admission', '9112363112651db888b9de1b6157d4a06a0b1f0440398efb8d5aa5e37c09cf6e'),
        ('session__engines', 'b7447b865c77dfd5c9ba35724090fe3c227c04d03673b008f845e2f7e7f4463a'),
        ('session__kv_handles', '90bcee40c4a4f4ba7fcda68f65b89cbe637385badcdc322d8dcae696720f968f'),
        ('session__model', '5094e9042188cb97cce14037487c40cdd8ba711ca16108eb873122c353280b47'),
        ('session__models', '4b4d7c175df220ef9d33a69a7f831370bdc9c4c27fdeba6b41bd96f834254b11'),
        ('session__prefixes', 'c140767deb1e1a8a3a7968cc7304beded94d107dba68de3cbca70b90c19ad219'),
        ('session__search_matrices', 'd4f1ceb41035f220ec0a7cb96fbaf5031c8d85c17fb67cd0d9d33f52c039d556'),
        ('simd__memory', '809b329aaf7df80144c10774532ebbefa43df0bd2aa5893fee26d2a75a0cfea9'),
        ('simd__processors', 'b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b'),
        ('simd__registers', 'a1fe37e17443172e13dc21b93e0a740ad74fc9e05051fdb8825a7a9eca6fa796'),
        ('simd__threads', '325afe60c462a5a0c0e779d94516a5726e9ee6584bcea18d67d16072f612f828'),
        ('sql__batches', '77356cec1c32a504837bf57c5df6644c0d4e17c0d7c93d9612824e6dada2a684'),
        ('sql__boundary', '6b789971a5d23cdf952ac87467b4a7c8ab39add4c42d79bd698779ca6607046d'),
        ('sql__chunking', '4a15572ad03075417ceeb56000ad5d47e158d2d69ce33054c483a4a5cae1a87e'),
        ('sql__diff', 'af7b0b1a58643d80ec28dc5a718ed4d55f94c151d4b07069a2a7ad582dba352a'),
        ('sql__editing', '93f919d6f71657d5ebe7fc3e3a175277b08f2b2002ab7f6df442e3021e23b88d'),
        ('sql__embeddings', 'dd3e97609431d338f5638ad49bcf6af432009c315e24eb15f30353e77588621a'),
        ('sql__generation', 'c62b1950c635096e351fc7fbb916e3810a466ecf718aeebced2d83e6800830ee'),
        ('sql__ingestion', 'c4cf39c08e8631fe4a165b2d48dbddec7af654540c148479d114db3aa661dfce'),
        ('sql__merge', '21ee22058cdf8267dadec774875bfe827dccf061da9bd19701ec64fb9cbe9ef2'),
        ('sql__operators', 'b7655a2990d39d16bbf6e54512b4cf6706a4bd6e163d56aad505576836294d6c'),
        ('sql__packed_cache', '28cb4ad0c38c1abf74a6a5873804c6121cdb72688499573b4585fd943486b674'),
        ('sql__scoring', 'ff44aa3634283708c4eda364136f2cefb975f1f6a7145670ed5f1fbc979875bb'),
        ('sql__search', '90bbd911ca5838b50433dad728d997b4d962f41a72e277fc079db701589f3b2d'),
        ('sql__session', '505b6587f125e10dc2c3cc6791fa1f93ba72dd11289ef14a9d40666171df8ecc'),
        ('sql__similarity', 'bd33a797385ad1366ddf292eb9149e4cbeeafad5d059e4321492ae85412909e7'),
        ('sql__token_map', '92ddaf8b2fb475de9616c48308c0362084b9f9d4a6768dde34771639a939f8d0'),
        ('sql__weight_rows', 'e5be3175f35842fd6242902d2b132f97742390133f4fd298826b39247495d606'),
        ('store__embedding_columns', 'aa4a07d97d4dd9a73a866995368f7f025a969246caaeae7e78a370ad46de83dd'),
        ('store__manifest', '487b4e1f01e2a06b08947a01e1f834c7ac058f36e6474da1123270be691dd78d'),
        ('store__merge_methods', '0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370'),
        ('store__models', '97805e695724ad2842143d08f43d87635498e78a81083f4639d55cbaeb5a8265'),
        ('store__tensor_writer', 'e4892cdfbe3e53b7e879f8ff4308efa22430f2ddb88b5ef8a17899b6f9449c58'),
        ('store__tokens', '010c24cb2ff7583c4703df3b0883fc79bbd15700da5424399a0108911c1e2087'),
        ('weights__address_space', '677f91a942e644353e5258b88d08c6d4d89223fa36d67826528240d3eaa5a656'),
        ('weights__packed_files', '01ee662f62ad66c94072675a6665acd3fcb837ee8d4bbab7525bafe17a423707'),
        ('weights__packed_model', 'b677a850ba9b7670cd53f39ea359e9890ccf7927aaa8fd4fd8985d0ef3d1055a'),
        ('weights__shared', 'fdf197fe39ddf0ca35625777fc067c771d411eddbccadbb1a87b2955ea0c750f'),
        ('weights__tensor_groups', '9427de559b067ed75326b2e03f88c17a150703060e741211a56f4250eef9c1df'),
        ('weights__tensors', 'dc25c8b4a1311e20d27a6c025ed55b553e5b5f5197d2f04210d977bb850e6e4c')
    ),

    deployed AS (
        SELECT p.proname::text AS module, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS digest
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_runtime'::regnamespace
            AND l.lanname = 'plpython3u' AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    )

    SELECT
        string_agg(deployed.digest || '  ' || module || E'\n', '' ORDER BY module COLLATE "C"),
        string_agg(module, ', ' ORDER BY module) FILTER (WHERE deployed.digest IS DISTINCT FROM expected.digest)
    INTO digests, wrong
    FROM expected FULL JOIN deployed USING (module);
    ASSERT wrong IS NULL, 'modules differ from this release: ' || wrong;
    ASSERT llm_runtime.release() = encode(sha256(convert_to(digests, 'UTF8')), 'hex'), 'another release is deployed';
    ASSERT has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may not call it';
END
$verify$;

ROLLBACK;
