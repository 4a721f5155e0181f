using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels.Cuda;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Kernels.Cuda;

/// <summary>
/// The CUDA back end with its real kernel sources, run on the CPU by an emulation of blocks, threads, barriers and
/// shuffles. What only a GPU can show (driver, NVRTC, cuBLAS, graphs of the driver, speed) is not tested here.
/// </summary>
public class CudaKernelTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sources_compile_to_PTX(bool bfloat16)
    {
        string? clang = new[] { "clang++", "clang++-14", "clang" }.FirstOrDefault(EmulatedDevice.Has);
        Assert.SkipUnless(clang is not null, "needs clang (eng/test-machine.sh installs it)");
        string folder = Directory.CreateTempSubdirectory("eigengate-ptx-").FullName;
        try
        {
            string source = Path.Combine(folder, "kernels.cu"), ptx = Path.Combine(folder, "kernels.ptx");
            File.WriteAllText(source, KernelCompiler.Source);
            EmulatedDevice.Compile(clang, [
                "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_80", "-Xclang", "-target-feature", "-Xclang", "+ptx70",
                "-std=c++17", "-O2", "-Wall", "-Werror", "-S", .. EmulatedDevice.Define(bfloat16), "-include", EmulatedDevice.Header("device.h"), source, "-o", ptx]);
            string text = File.ReadAllText(ptx);
            foreach (string kernel in (string[])["rms_norm", "normalize_heads", "rotate_and_cache", "silu_multiply", "add_bias", "copy_rows", "mix_cores", "attend", "merge_attention"])
                Assert.Contains($".entry {kernel}(", text, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static TheoryData<string, int, int, int, int> Shapes => new()
    {
        { "llama", 4, 2, 8, 32 },
        { "llama", 6, 6, 48, 80 },
        { "llama", 9, 3, 18, 50 },
        { "qwen2", 8, 1, 12, 44 },
        { "qwen3", 5, 5, 64, 36 },
        { "llama", 1, 1, 256, 33 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Logits_equal_the_reference_on_every_shape(string family, int heads, int kvHeads, int headDim, int hidden)
    {
        SkipWithoutCompiler();
        using var model = new TestModel(
            hidden: hidden, intermediate: hidden + 17, heads: heads, kvHeads: kvHeads, headDim: headDim, family: family, mlpBias: family == "llama", attentionBias: family == "llama");
        using var reference = new ModelProbe(model.Directory, TestEngine.Options(reference: true));
        using var cuda = new ModelProbe(model.Directory, TestEngine.Options(), kernelDevice: new EmulatedDevice(bfloat16: false));
        (int[], ResidentAdapter?)[] prompts = [.. new[] { 1, 2, 17, 33, 70 }.Select(length => (model.Prompt(length, length), (ResidentAdapter?)null))];
        float[][][] expected = reference.Logits(19, prompts), actual = cuda.Logits(19, prompts);
        for (int i = 0; i < prompts.Length; i++)
            Close.Assert(expected[i], actual[i], 2e-4);
    }

    [Theory]
    [InlineData(DType.F32, EngineDType.Float32, 2e-4)]
    [InlineData(DType.F32, EngineDType.BFloat16, 2e-4)]
    [InlineData(DType.BF16, EngineDType.BFloat16, 0.6)]
    public void A_crowd_of_adapters_equals_the_reference(DType dtype, EngineDType cores, double tolerance)
    {
        SkipWithoutCompiler();
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16, dtype: dtype);
        EngineOptions options = TestEngine.Options() with { CoreDType = cores, DType = dtype == DType.BF16 ? EngineDType.BFloat16 : EngineDType.Float32 };
        using var reference = new ModelProbe(model.Directory, options with { ReferenceKernels = true });
        using var cuda = new ModelProbe(model.Directory, options, kernelDevice: new EmulatedDevice(dtype == DType.BF16));
        var expected = reference.Logits(3, Crowd(model, reference));
        var actual = cuda.Logits(3, Crowd(model, cuda));
        for (int i = 0; i < expected.Length; i++)
            Close.Assert(expected[i], actual[i], tolerance);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Long_rows_split_over_many_blocks_equal_the_reference(int sequences)
    {
        SkipWithoutCompiler();
        using var model = new TestModel(layers: 1, heads: 2, kvHeads: 1, headDim: 16, context: 600, family: "mistral").With("sliding_window", 390);
        EngineOptions options = TestEngine.Options() with { MaxBatchedTokens = 900 };
        using var reference = new ModelProbe(model.Directory, options with { ReferenceKernels = true });
        using var cuda = new ModelProbe(model.Directory, options, kernelDevice: new EmulatedDevice(bfloat16: false, multiprocessors: 64));
        (int[], ResidentAdapter?)[] prompts = [.. Enumerable.Range(0, sequences).Select(i => (model.Prompt(560 / sequences, i), (ResidentAdapter?)null))];
        float[][][] expected = reference.Logits((560 / sequences) - 3, prompts), actual = cuda.Logits((560 / sequences) - 3, prompts);
        for (int i = 0; i < sequences; i++)
            Close.Assert(expected[i], actual[i], 2e-4);
    }

    [Fact]
    public void Recorded_decode_steps_choose_the_same_tokens_as_launched_ones()
    {
        SkipWithoutCompiler();
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16);
        int[][] launched = Decode(model, graphs: false, out long none), recorded = Decode(model, graphs: true, out long replays);
        Assert.Equal(0, none);
        Assert.True(replays > 8, $"only {replays} steps were replayed");
        Assert.Equal(launched, recorded);
        Assert.True(recorded.Select(ids => string.Join(',', ids)).Distinct().Count() > 9, "the adapters make no difference");
    }

    /// <summary>
    /// Thirteen sequences of two clusters, a residual and the base, some of which end early: batches shrink through several sizes. The
    /// residual's sequence is among the first to end; steps with private parts are not recorded.
    /// </summary>
    private static int[][] Decode(TestModel model, bool graphs, out long replays)
    {
        EngineOptions options = TestEngine.Options() with { CudaGraphs = graphs };
        EngineParts parts = EngineParts.Load(model.Directory, options, kernelDevice: new EmulatedDevice(bfloat16: false));
        var kernels = (CudaKernels)parts.Model.Kernels;
        using var engine = new Engine(parts);
        var bases = Enumerable.Range(0, 2).Select(c => TestAdapters.Cluster(model.Config, c, _ => (4 + (9 * c), 4 + (5 * c)))).ToArray();
        for (int c = 0; c < bases.Length; c++)
            engine.AddCluster($"cluster-{c}", bases[c]);
        TestStream[] streams = [.. Enumerable.Range(0, 13).Select(i => engine.Start(model.Prompt(3 + i, i), TestEngine.Greedy(6 + (8 * (i % 4))), Lease(i)))];
        engine.RunToEnd();
        replays = kernels.Graphs?.Replays ?? 0;
        Assert.Null(kernels.Graphs?.Failure);
        return [.. streams.Select(stream => stream.Ids)];

        ResidentAdapter? Lease(int i)
        {
            if (i % 5 == 0)
                return null;
            AdapterWeights weights = TestAdapters.Adapter($"adapter-{i}", $"cluster-{i % 2}", bases[i % 2], i);
            return engine.LoadAdapter(i == 4 ? TestAdapters.WithResidual(weights, model.Config, 7, 2, "self_attn.q_proj") : weights);
        }
    }

    private static (int[] Tokens, ResidentAdapter? Adapter)[] Crowd(TestModel model, ModelProbe probe)
    {
        string[][] projections = [[], ["self_attn.q_proj", "self_attn.v_proj"], ["mlp.gate_proj", "mlp.down_proj"]];
        int[] ranks = [4, 33, 140];
        var bases = projections.Select((p, c) => TestAdapters.Cluster(model.Config, c, _ => (ranks[c], ranks[c] + 1), p)).ToArray();
        for (int c = 0; c < bases.Length; c++)
            probe.Parts.Bases.Add($"cluster-{c}", bases[c]);
        return [.. Enumerable.Range(0, 20).Select(i => (
            model.Prompt(4 + (i % 9), i),
            i % 6 == 0 ? null : probe.Load(TestAdapters.Adapter($"adapter-{i}", $"cluster-{i % 3}", bases[i % 3], i))))];
    }

    private static void SkipWithoutCompiler() =>
        Assert.SkipUnless(EmulatedDevice.Available, "needs g++ (eng/test-machine.sh installs it)");
}
