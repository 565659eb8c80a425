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
        ('atoms__atom_runs', '47e59b0ddfbe9153c9208db276277b738fdc09e686b52381372ef67e6e4635bf'),
        ('atoms__atoms', '36550c60a84d9ac1b16e4f97fa0a846a994852b095c41b39dbe849f5c59950ef'),
        ('atoms__geometry', '3fa7d4a040c883fb70ec29f73bae24ae313316a15eed79c34a9d9d6d19fd6df2'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'd092e0489da9ef53b5fb23937a06b75e8b2e5c283790cfdad6d9476016521626'),
        ('atoms__projection', '7f314f629c024053477db2b75dde7f26e344c0a0de0658c7d37805de2049889a'),
        ('atoms__sql_literals', '56e81753792a8621db85a8d71292822a6939cb7f76e9c90e099d948fb8f6e97a'),
        ('atoms__token_map', '81a3e00dfe4a024f49bcec0d07117d0457e7f0f84fe83033ae61f10ec5cf583e'),
        ('engine__composed', '32e58cd0dfafc6e8d6bd40c908a500d7f4ddc3c5d702054ca73ae057c6652396'),
        ('engine__decoder', '66e8a3d92bd3939cb37adf7234c87525351d04166ca653ef6a44b4588bb4701e'),
        ('engine__decoder_pass', '58a735fe0d0281bcdec0c79639eab06c659b691584f59dfb98547698efe1f4c4'),
        ('engine__encoder', 'd49b61683bca9c9ff8a6d53631b62f42610e7327da0b73afcf18ed25f0cdd8e7'),
        ('engine__encoder_pass', 'b00b7bfcc937cb78b6a016519016d811f2f525f4d36e3d0c9d87a9425602e09b'),
        ('engine__kv_cache', '18dc5dd784717e5069a7b483aa87e65b0f7b36db74ec116f0632bf55ff38cde4'),
        ('engine__operator_entries', '1b9f045a4612c64c2be4113f14fb4aefb67754491466f3b50e7e960fb5279be0'),
        ('engine__steps', '70ef644f42bca50835086e049bb718c3260b323fd4b512b473d3bda230da9541'),
        ('engine__warm_up', '8f5b9b237e773e7dc1633df81b4d33107cae6e381ffadc23907f783b492c3321'),
        ('generate__candidates', 'c8f8cf3294fcb5851444045308ad76faeb61359188e1904fc2180ae69ceab1f3'),
        ('generate__interfaces', 'fe2e1af28e0f01bacc96c5fc6aae802ea074ab2be4be92ea0ba312ca7479a8c1'),
        ('generate__prefix_cache', '6fa668416a384c40fb88cc1542403fc179d99ba451b85c93bc7fc5a6786fa2d3'),
        ('generate__prompt_lookup', 'f341b0a86445325dfe8b80dbd244744b7775bac413898f1745f41b0d5493c9f1'),
        ('generate__sampling', 'c159e7fe042b03d333af23730e99e19c6a7c7889719924c37483f1f188f3792e'),
        ('generate__scheduler', '456762851242c30dff22a341cb853f463c31e5d8f8cdc6ee29b5baedee1b6f95'),
        ('kernels__attention', '68740b3aeaa2d7c876e7af8e59c86f5922d307d8ce8667751ea9188a185ac310'),
        ('kernels__blocks', '023f94bf59a1f5ae306d32cc734b50cee3de8c4bd85cdcc2a868423ada72bdec'),
        ('kernels__candidates', 'ed6f3204bc32f08640f1c9bd3a839030faa3c130b4a7aacad8772461e2b7d02e'),
        ('kernels__cosine', 'e2c7012f87a109e252c6aea1a438ca9d91e84a672e57191253fd2316e1ebdebd'),
        ('kernels__dispatch', 'f343bfcd1e78527458d4f9fcd96abe6f0936933f4e25e5a078fe0363a43dfe0e'),
        ('kernels__elementwise', '5f562711603676b67f7785bf0729405608328c642ebf0c6c2f20f8cd321f6883'),
        ('kernels__floats', '063786f110db5a93fe08082d4e6cbec111a9082f00e30bc36a661354c0543e24'),
        ('kernels__groups', 'ff881ed87513a462ca1c856882581d5fc45334bca25d849c9e056d332d0cfb5c'),
        ('kernels__kv_pages', 'afa157b28a7a8cf576380fdf9f63c976b190431da787de5a1d315cf68f05305c'),
        ('kernels__layouts__bf16', '1248441cf14ec3525666777395250950d23c79bcd6326e18c87f9e69e510701c'),
        ('kernels__layouts__f16', 'd97c9ea031a5fe5f7f95fe46e3c544b05617153f5550dbe30294e79c2ac8b930'),
        ('kernels__layouts__f32', 'f95f50181c3ddc011df8909120ac91cda1c1fa5fc2c6f2a52fbb91a7b589ae93'),
        ('kernels__layouts__q4', 'b36db93801b59dafa16fe69febfccd186563f68f0cc083631e3f47c8fc8f4e03'),
        ('kernels__layouts__q5', '7bf7c4707b07d30154706796329f85ac9096249bd402baf28bbc8f848ff38e2e'),
        ('kernels__layouts__q8', '0d1546b304c4532ecabebf411648cb2641917aee4cd7d9e387f0216012cbd7f8'),
        ('kernels__matrix', 'd8c573279c7535244b57c6d7a296244b6bf010aa9f01b415550a9bc548d7de8c'),
        ('kernels__packing', 'ddf2846ced38bb2de2bdca751b3cbcc1c019d797fde42908234702ab811325f1'),
        ('kernels__similarity', '1322698dbac0b16276fe0840a988a16a791aadc1922d45139ace6010a07a589f'),
        ('model__decoder', '34229ffee6af4f0e1fdba9228991394d0adb81bcfac74a3bf8bf38e9e68ef0fd'),
        ('model__encoder', '40de5f920609b2a0f013143a1f2e516c2f6af5927ea2ad41666743cca3eb55c0'),
        ('model__encodings', '87e9fd13acfc633405fd93befb6aecec83663b90ba79f4040fd0a17985e1ad82'),
        ('model__finite', '4e5444ddb806e939c6e9816a9afd93c01bcfc04751474118be92469cc84648fa'),
        ('model__long_texts', 'cc301a58be527b51a3971ff764e0eeac42d6e269790f3ec8bcc385ed67e01125'),
        ('model__rope_rows', '2edc4e305a5df64df63433899266b7a22a3aac8506de8128367d0c868c293348'),
        ('model__tokenizer', 'e2364ef16c94c8ddad10e21bcc6c9ef147d182ea021a4ac017830650aa01abe4'),
        ('reference__composed', '49eb3e42e0da8b7517596cf2019af16868d165601f3f1ecede2dbde6b656c016'),
        ('reference__decoder', '1e1767fa66c6eb3fa27f651588bce3786fa14b1713844d5864ddbb45e921789d'),
        ('reference__encoder', '6d8bdc1392ce36005abb17345368f72f56c58bd8fe543637c65eb7236032295b'),
        ('reference__operators', '13552bc8053a7c7e8cd614be1f2c298dadc2e725bcafa74cd43399d377eaab22'),
        ('server__arguments', '4911ab75f3996803398b3093fe3aaa583c9ba22ecd1c96acc8d1dd61bd2b6ec6'),
        ('server__background', '45a0fd460292e50ed0d477a598dd2ea7118c912a5bbfd76b202a2d5f382c3a45'),
        ('server__ceilings', '46c3cbf6792063fc35afa89b10f1c7f61a2b60eef9089027923c0faef418c221'),
        ('server__database', 'f5b8bf2c1fae712e318a2d84cb567f19399533da54dfeea49abb11cecf049534'),
        ('server__errors', '2f526789e5ac6b394af884859bc293df6b4e5ea09a6223f23426bf019cd84d8c'),
        ('server__settings', '35616ec6861ac939684e6b247171adcaf968f2e1ccc3322bff0b239ee945a3fc'),
        ('server__statement_clock', 'd8a6a78fbdeaacf562d5eb3619cbd1a286eeb188f0c58230a3d94d1e405a2ecf'),
        ('session__admission', '9ab4e0cb212739e39b451fdf78a748f5846ab5c47fe9590847d42d7f6f761657'),
        ('session__engines', '1a1ae258df30e178c3f89bb09ce291a8e3f4db4720d81678f0438864c1a49365'),
        ('session__kv_handles', '820514b55fd7a8030e1a40bf444c57b5153ca9b6c795c3f3fd38d098acf8257a'),
        ('session__model', '9877d4a2ea3d882d91ef4b43d7e876daf79afa9435eac960a7d5706e3596040b'),
        ('session__models', '13d53c0a476366b5729012b353532062759e85123a9c34baf37bf140e641a8b3'),
        ('session__prefixes', '8e35069086b88839019d22babe34efadd0b73e994080b6bc8e5293b5f10d2ff1'),
        ('session__search_matrices', '3de3bf2de52a1c469a32914a45719ffe9d47c96bded783eb378795074d299812'),
        ('simd__frames', '538eaa11e0de56ad9bca6ce56fba18436d6d00e99130e8c66d283a7238a89a55'),
        ('simd__kernels', '7cbbce5e0c3a5c823bb99208194c5b5f504a2bac511d3e38def10fd66b250589'),
        ('simd__memory', '320b2974041fcaba79aaac18e02214f783d73e7baf8a20c0858d404593f0b6c7'),
        ('simd__processors', '660d3849c2373d1741f7bdf282d685b5bf7e0539762fad15f87c650161bc058a'),
        ('simd__registers', '4b4d40b87ee01e9b6b1f093cd5efd7f73b5e04e59399e64b4c85dc1b0a411af9'),
        ('simd__threads', 'e2cbbfb7e1fb510b73c569a0351105e18f54e305bcfc97a643fba0fa67dcd788'),
        ('sql__batches', 'd0472761c7676b711a279e623d0a83dd4d20f0e028bf95a2320c8a0b6e4bada7'),
        ('sql__boundary', '1c910224aff3e513a762552b409b161f4a0e7ea97c61bf83326aeb0c87628ceb'),
        ('sql__chunking', '63d9fc199b876cf84603700a5fd5f0d10b184e5a98b09d26f46e6dfb944e21e6'),
        ('sql__diff', 'af7b0b1a58643d80ec28dc5a718ed4d55f94c151d4b07069a2a7ad582dba352a'),
        ('sql__editing', '8f9a2724e27d88786cb8afcc83c2da7cf57e6335e172b9d916142019487b2d76'),
        ('sql__embeddings', 'b1d795f2cd112fc1824c79c5e53b2575d14db79a982efedc950c437e0036a567'),
        ('sql__generation', '7ba11759645ac1bb88d9a7cfe12531c70c558d2adae76402b6b67bda184584ae'),
        ('sql__ingestion', 'c4cf39c08e8631fe4a165b2d48dbddec7af654540c148479d114db3aa661dfce'),
        ('sql__merge', '033e86a26654d7f9e9cf360c97df1132578909391344d14b641148949f271c57'),
        ('sql__operators', '2b83d70580f56b8f1a6f558f1e4e25addf97a459bba7bb549de4b461cb98ffd7'),
        ('sql__packed_cache', '28cb4ad0c38c1abf74a6a5873804c6121cdb72688499573b4585fd943486b674'),
        ('sql__samplers', 'e093b49321f3e3ed7dbc383f4aaeeeebabbb70d2eff4d5a07bdcf469d3dd3104'),
        ('sql__scoring', '2838cf1ca2115657deb055946812539951a537390d82fdf8f1f8e575d3d9c848'),
        ('sql__search', 'afbab2dfaf357f03783bdaf36e4126c41ae03a05141f2be4cc3aeb11af39a0e4'),
        ('sql__session', 'ff2fcabace7f68005d5ee2b1de3c6d755ec3785c8886cb58539e7dd9c3915b9b'),
        ('sql__similarity', 'f622ae0eaa6a641e68ce20781b4ce0bcefb3f3fd9a34cf0da58ef8b7097e1904'),
        ('sql__token_map', '92ddaf8b2fb475de9616c48308c0362084b9f9d4a6768dde34771639a939f8d0'),
        ('sql__weight_rows', '5a7cffa042da1a447cf52ce05b545a12ec69422f5b4346098960b4a1f82a0287'),
        ('store__embedding_columns', 'bc3d548bd2f5d58d0dc8a01fa5e92ae4184aed18c27c890cbfd620bbeb8b1f10'),
        ('store__manifest', '487b4e1f01e2a06b08947a01e1f834c7ac058f36e6474da1123270be691dd78d'),
        ('store__merge_methods', '0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370'),
        ('store__models', 'a68eca9d7f8694684a79112abd62d93f956beeca0bce2cdb2089806e9e92362d'),
        ('store__tensor_writer', '34137fe432d03aa01582eb5df1a706cfd4b030cebd1b027b7e9ef9714fa2194f'),
        ('store__tokens', '010c24cb2ff7583c4703df3b0883fc79bbd15700da5424399a0108911c1e2087'),
        ('weights__address_space', '677f91a942e644353e5258b88d08c6d4d89223fa36d67826528240d3eaa5a656'),
        ('weights__packed_files', '01ee662f62ad66c94072675a6665acd3fcb837ee8d4bbab7525bafe17a423707'),
        ('weights__packed_model', 'f4f65077f35281f0f4ecc2f37d820b70218db3c366d8b92297932c197bc48323'),
        ('weights__shared', '2f1baf9b73502d05f01cbf32f05617896e1325129440f3810212f812534be698'),
        ('weights__tensor_groups', 'fba5dbc7c35b9853dc814fc16d35928cc0db169eda4efd985d858695f73dab16'),
        ('weights__tensors', '27cccb7243639f02e52aef7d0da7e911b2c206530249da4272271548b328283c')
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
