using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;

namespace Eigengate.Inference.Tests;

/// <summary>Random clusters and adapters that fit a model.</summary>
internal static class TestAdapters
{
    public static readonly string[] AllProjections =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    public static Dictionary<string, ClusterBasis> Cluster(ModelConfig config, int seed, Func<string, (int RU, int RV)> rank, params string[] projections)
    {
        var random = new Random(seed);
        return Modules(config, projections).ToDictionary(name => name, name =>
        {
            AdaptedModule module = AdaptedModule.Parse(name, config);
            var (ru, rv) = rank(name);
            return new ClusterBasis(
                Random(random, module.DOut * ru, 1 / Math.Sqrt(module.DOut)), Random(random, module.DIn * rv, 1 / Math.Sqrt(module.DIn)),
                module.DOut, module.DIn, ru, rv);
        });
    }

    /// <summary>Cores strong enough to change what the model says.</summary>
    public static AdapterWeights Adapter(string id, string cluster, IReadOnlyDictionary<string, ClusterBasis> bases, int seed, Func<string, bool>? has = null)
    {
        var random = new Random(seed);
        return new AdapterWeights(id, "v1", cluster, bases
            .Where(b => has is null || has(b.Key))
            .ToDictionary(b => b.Key, b => Random(random, b.Value.RU * b.Value.RV, 2.0 / Math.Sqrt(b.Value.RV))));
    }

    public static Dictionary<string, LoraFactors> Exact(ModelConfig config, int seed, int rank, params string[] projections)
    {
        var random = new Random(seed);
        return Modules(config, projections).ToDictionary(name => name, name =>
        {
            AdaptedModule module = AdaptedModule.Parse(name, config);
            return new LoraFactors(
                Random(random, rank * module.DIn, 1 / Math.Sqrt(module.DIn)), Random(random, module.DOut * rank, 1 / Math.Sqrt(module.DOut)),
                module.DOut, module.DIn, rank, 2);
        });
    }

    /// <summary>U Σ Vᵀ, [DOut, DIn].</summary>
    public static double[] Delta(ClusterBasis basis, float[] core)
    {
        double[] delta = new double[basis.DOut * basis.DIn];
        for (int o = 0; o < basis.DOut; o++)
        {
            for (int u = 0; u < basis.RU; u++)
            {
                for (int v = 0; v < basis.RV; v++)
                {
                    double weight = (double)basis.U[(o * basis.RU) + u] * core[(u * basis.RV) + v];
                    for (int i = 0; i < basis.DIn; i++)
                        delta[(o * basis.DIn) + i] += weight * basis.V[(i * basis.RV) + v];
                }
            }
        }

        return delta;
    }

    /// <summary>The adapter with private residuals of a rank in some modules.</summary>
    public static AdapterWeights WithResidual(AdapterWeights adapter, ModelConfig config, int seed, int rank, params string[] projections) => adapter with
    {
        Factors = Exact(config, seed, rank, projections).ToDictionary(f => f.Key, f => f.Value with { Scale = 1 }),
    };

    /// <summary>The dense model that serving this adapter must equal.</summary>
    public static Float64Decoder Dense(TestModel model, IReadOnlyDictionary<string, ClusterBasis> bases, AdapterWeights adapter)
    {
        var dense = new Float64Decoder(model);
        foreach (var (name, core) in adapter.Cores)
            dense.Add(name, Delta(bases[name], core));
        foreach (var (name, factors) in adapter.Factors)
            dense.Add(name, Delta(factors));
        foreach (var (name, outputs) in adapter.Outputs)
            dense.SetOutputs(name, outputs.BaseGain, outputs.DeltaGain, outputs.Bias);
        return dense;
    }

    /// <summary>s · B · A, [DOut, DIn].</summary>
    public static double[] Delta(LoraFactors factors)
    {
        double[] delta = new double[factors.DOut * factors.DIn];
        for (int o = 0; o < factors.DOut; o++)
        {
            for (int j = 0; j < factors.Rank; j++)
            {
                double weight = (double)factors.Scale * factors.B[(o * factors.Rank) + j];
                for (int i = 0; i < factors.DIn; i++)
                    delta[(o * factors.DIn) + i] += weight * factors.A[(j * factors.DIn) + i];
            }
        }

        return delta;
    }

    /// <summary>Gains around one and biases around zero for some modules, each of the three in two of three modules.</summary>
    public static Dictionary<string, OutputVectors> Outputs(ModelConfig config, int seed, params string[] projections)
    {
        var random = new Random(seed);
        return Modules(config, projections).Select((name, i) => (name, i)).ToDictionary(m => m.name, m =>
        {
            int width = AdaptedModule.Parse(m.name, config).DOut;
            return new OutputVectors(
                m.i % 3 == 0 ? null : Around(1, width), m.i % 3 == 1 ? null : Around(1, width), m.i % 3 == 2 ? null : Around(0, width));
        });

        float[] Around(float center, int width) => [.. Random(random, width, 0.4).Select(v => center + v)];
    }

    private static IEnumerable<string> Modules(ModelConfig config, string[] projections) =>
        from layer in Enumerable.Range(0, config.Layers)
        from projection in projections.Length == 0 ? AllProjections : projections
        select $"model.layers.{layer}.{projection}";

    private static float[] Random(Random random, int count, double scale) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(scale * TestModel.Normal(random)))];
}
