using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Tests.Adapters;

public sealed class AdapterSlotsTests : IDisposable
{
    private readonly TestModel _model = new(layers: 1);
    private readonly Engine _engine;
    private readonly Dictionary<string, ClusterBasis> _bases;

    public AdapterSlotsTests()
    {
        _engine = Engine.Load(_model.Directory, TestEngine.Options() with { AdapterSlots = 2 });
        _bases = TestAdapters.Cluster(_model.Config, 1, _ => (4, 3));
        _engine.AddCluster("cluster", _bases);
    }

    public void Dispose()
    {
        _engine.Check();
        _engine.Dispose();
        _model.Dispose();
    }

    [Fact]
    public void Least_recently_used_adapter_without_lease_makes_room()
    {
        Load("a").Dispose();
        Load("b").Dispose();
        Load("a").Dispose();
        Load("c").Dispose();
        Assert.True(Resident("a"));
        Assert.False(Resident("b"));
        Assert.True(Resident("c"));
    }

    [Fact]
    public void Leased_adapters_are_never_evicted_and_full_is_said_clearly()
    {
        using ResidentAdapter a = Load("a"), b = Load("b");
        AdapterSlotsExhaustedException e = Assert.Throws<AdapterSlotsExhaustedException>(() => Load("c"));
        Assert.Contains("all 2 adapter slots", e.Message, StringComparison.Ordinal);
        a.Dispose();
        a.Dispose();
        Load("c").Dispose();
        Assert.True(Resident("b"));
    }

    [Fact]
    public void Unloaded_adapter_keeps_its_slot_until_its_last_lease_ends()
    {
        ResidentAdapter lease = Load("a");
        Assert.True(_engine.UnloadAdapter("a", "v1"));
        Assert.False(_engine.UnloadAdapter("a", "v1"));
        Assert.False(Resident("a"));
        Assert.Equal(1, _engine.Stats.AdapterSlotsUsed);
        lease.Dispose();
        Assert.Equal(0, _engine.Stats.AdapterSlotsUsed);
    }

    [Fact]
    public void Cluster_goes_when_no_loaded_adapter_uses_it()
    {
        Load("a").Dispose();
        Assert.False(_engine.TryRemoveCluster("cluster"));
        Load("b").Dispose();
        _engine.UnloadAdapter("a", "v1");
        Assert.False(_engine.TryRemoveCluster("cluster"));
        _engine.UnloadAdapter("b", "v1");
        Assert.True(_engine.TryRemoveCluster("cluster"));
        Assert.Throws<InvalidAdapterException>(() => Load("a"));
    }

    [Fact]
    public void One_lease_cannot_serve_two_requests()
    {
        ResidentAdapter lease = Load("a");
        TestStream first = _engine.Start(_model.Prompt(4, 1), TestEngine.Greedy(2), lease);
        Assert.Throws<InvalidOperationException>(() => _engine.Start(_model.Prompt(4, 1), TestEngine.Greedy(2), lease));
        lease.Dispose();
        _engine.Check();
        _engine.RunToEnd();
        Assert.Equal(2, first.Ids.Length);
        Load("b").Dispose();
        Load("c").Dispose();
        Assert.False(Resident("a"));
    }

    [Fact]
    public void Adapters_that_do_not_fit_are_refused_by_module()
    {
        AdapterWeights good = Weights("x");
        string module = "model.layers.0.mlp.up_proj";
        Refused("13 numbers", () => _engine.LoadAdapter(good with { Cores = new Dictionary<string, float[]> { [module] = new float[13] } }));
        Refused("lm_head", () => _engine.LoadAdapter(good with { Cores = new Dictionary<string, float[]> { ["lm_head"] = new float[12] } }));
        Refused("not finite", () => _engine.LoadAdapter(good with { Cores = new Dictionary<string, float[]> { [module] = [float.NaN, .. new float[11]] } }));
        Refused("'elsewhere' is not loaded", () => _engine.LoadAdapter(good with { ClusterKey = "elsewhere" }));
        Assert.Equal(0, _engine.Stats.AdapterSlotsUsed);
    }

    [Fact]
    public void Bases_that_do_not_fit_are_refused_by_module()
    {
        ClusterBasis good = _bases["model.layers.0.mlp.up_proj"];
        Refused("already loaded", () => _engine.AddCluster("cluster", _bases));
        Refused("model.layers.7.mlp.up_proj", () => Add("model.layers.7.mlp.up_proj", good));
        Refused("cannot be adapted", () => Add("model.layers.0.input_layernorm", good));
        Refused("[48, 32]", () => Add("model.layers.0.mlp.down_proj", good));
        Refused("expected", () => Add("model.layers.0.mlp.up_proj", good with { U = new float[5] }));
        Refused("not finite", () => Add("model.layers.0.mlp.up_proj", good with { V = [.. good.V[1..], float.NaN] }));
        Assert.False(_engine.HasCluster("new"));
    }

    private void Add(string module, ClusterBasis basis) => _engine.AddCluster("new", new Dictionary<string, ClusterBasis> { [module] = basis });

    private AdapterWeights Weights(string id) => TestAdapters.Adapter(id, "cluster", _bases, 1);

    private ResidentAdapter Load(string id) => _engine.LoadAdapter(Weights(id));

    private bool Resident(string id)
    {
        if (!_engine.TryAcquire(id, "v1", out ResidentAdapter? lease))
            return false;
        lease.Dispose();
        return true;
    }

    private static void Refused(string reason, Action action) =>
        Assert.Contains(reason, Assert.Throws<InvalidAdapterException>(action).Message, StringComparison.Ordinal);
}
