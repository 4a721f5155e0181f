using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Tests.Adapters;

[Collection("alone")]
public class PrivateResidualTests
{
    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 5)]
    [InlineData(true, 3)]
    public void Core_and_residual_together_equal_the_dense_model(bool reference, int rank)
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (6, 4), "self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj");
        probe.Parts.Bases.Add("cluster", bases);
        // Also in modules where the cluster has no basis.
        AdapterWeights weights = TestAdapters.WithResidual(
            TestAdapters.Adapter("a", "cluster", bases, 2), model.Config, 3, rank, "self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj");
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(30, 1);
        float[][] expected = TestAdapters.Dense(model, bases, weights).Logits(prompt);

        Close.Assert(expected, probe.Logits(11, (prompt, adapter))[0], 3e-4);
        float[][] coresAlone = TestAdapters.Dense(model, bases, weights with { Factors = new Dictionary<string, LoraFactors>() }).Logits(prompt);
        Assert.Contains(expected.Zip(coresAlone), p => Math.Abs(p.First[5] - p.Second[5]) > 0.1);
    }

    [Fact]
    public void An_adapter_of_a_cluster_without_bases_is_all_residual()
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options());
        var none = new Dictionary<string, ClusterBasis>();
        probe.Parts.Bases.Add("empty", none);
        AdapterWeights weights = TestAdapters.WithResidual(new AdapterWeights("a", "v1", "empty", new Dictionary<string, float[]>()), model.Config, 3, 4);
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(20, 1);
        Close.Assert(TestAdapters.Dense(model, none, weights).Logits(prompt), probe.Logits(20, (prompt, adapter))[0], 3e-4);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Adapters_with_and_without_residuals_decode_the_same_together_as_alone(bool reference)
    {
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options(reference));
        var bases = Enumerable.Range(0, 2).Select(c => TestAdapters.Cluster(model.Config, c, _ => (4 + (8 * c), 4 + (8 * c)))).ToArray();
        for (int c = 0; c < bases.Length; c++)
            engine.AddCluster($"cluster-{c}", bases[c]);
        // Two sequences of every adapter, so that rows of one residual have to be neighbours.
        ResidentAdapter? Lease(int i) => (i % 24) switch
        {
            0 => null,
            var a when a % 3 == 0 => engine.LoadAdapter(TestAdapters.Adapter($"adapter-{a}", $"cluster-{a % 2}", bases[a % 2], a)),
            var a => engine.LoadAdapter(TestAdapters.WithResidual(TestAdapters.Adapter($"adapter-{a}", $"cluster-{a % 2}", bases[a % 2], a), model.Config, a, 1 + (a % 4))),
        };

        TestStream[] together = [.. Enumerable.Range(0, 48).Select(i => engine.Start(model.Prompt(3 + (i % 7), i), TestEngine.Greedy(12), Lease(i)))];
        engine.RunToEnd();
        for (int i = 0; i < together.Length; i++)
            Assert.Equal(engine.Generate(model.Prompt(3 + (i % 7), i), 12, Lease(i)), together[i].Ids);
        Assert.True(together.Select(t => string.Join(',', t.Ids)).Distinct().Count() > 30, "the adapters make no difference");
    }

    [Fact]
    public void A_residual_goes_with_its_slot_and_a_successor_finds_none_of_it()
    {
        using var model = new TestModel(layers: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterSlots = 1 });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 3));
        engine.AddCluster("cluster", bases);
        AdapterWeights plain = TestAdapters.Adapter("plain", "cluster", bases, 1);
        int[] prompt = model.Prompt(5, 1);
        int[] alone = engine.Generate(prompt, 8, engine.LoadAdapter(plain));
        long tensors = 0;
        for (int round = 0; round < 4; round++)
        {
            engine.LoadAdapter(TestAdapters.WithResidual(plain with { Id = $"private-{round}" }, model.Config, round, 2)).Dispose();
            Assert.Equal(alone, engine.Generate(prompt, 8, engine.LoadAdapter(plain)));
            long now = TorchSharp.torch.Tensor.TotalCount;
            Assert.True(round == 0 || now == tensors, $"{now - tensors} tensors more after a round");
            tensors = now;
        }

        engine.Check();
    }

    [Fact]
    public void A_residual_that_does_not_fit_is_refused_by_module()
    {
        using var model = new TestModel(layers: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 3));
        engine.AddCluster("cluster", bases);
        AdapterWeights weights = TestAdapters.WithResidual(TestAdapters.Adapter("a", "cluster", bases, 1), model.Config, 1, 2, "mlp.up_proj");
        LoraFactors good = weights.Factors["model.layers.0.mlp.up_proj"];
        Refused("[32, 32]", "model.layers.0.self_attn.q_proj", good);
        Refused("not finite", "model.layers.0.mlp.up_proj", good with { B = [.. good.B[1..], float.NaN] });
        Refused("A [2, 32] and B [48, 2] were expected", "model.layers.0.mlp.up_proj", good with { A = good.A[1..] });
        Refused("cannot be adapted", "model.layers.0.input_layernorm", good);
        Assert.Equal(0, engine.Stats.AdapterSlotsUsed);
        Assert.True(engine.TryRemoveCluster("cluster"));

        void Refused(string reason, string module, LoraFactors residual) => Assert.Contains(
            reason,
            Assert.Throws<InvalidAdapterException>(() => engine.LoadAdapter(weights with { Factors = new Dictionary<string, LoraFactors> { [module] = residual } })).Message,
            StringComparison.Ordinal);
    }
}
