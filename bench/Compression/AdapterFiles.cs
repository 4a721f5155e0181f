using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Bench.Compression;

/// <summary>One adapted module of the made model.</summary>
internal sealed record ModuleSpec(string Path, int OutFeatures, int InFeatures);

/// <summary>Writes a collection of bfloat16 PEFT adapters of planted families. Noise is cut from one pool: drawing it anew would take longer than compressing it.</summary>
internal sealed class AdapterFiles(string folder, ModuleSpec[] modules, int rank, int families, double noise)
{
    private const int PoolSize = 32 << 20;

    internal static ModuleSpec[] Mistral(int layers) =>
    [
        .. from layer in Enumerable.Range(0, layers)
           from projection in new[] { (Name: "q_proj", Out: 4096), (Name: "k_proj", Out: 1024), (Name: "v_proj", Out: 1024) }
           select new ModuleSpec($"model.layers.{layer}.self_attn.{projection.Name}", projection.Out, 4096),
    ];

    internal static ModuleSpec[] Square(int count, int d) =>
        [.. Enumerable.Range(0, count).Select(m => new ModuleSpec($"model.layers.{m}.self_attn.q_proj", d, d))];

    /// <summary>Folders adapter-00000 … of the numbers from <paramref name="first"/>.</summary>
    internal string[] Write(int first, int count)
    {
        using var scope = NewDisposeScope();
        Generator seeded = new(1);
        Tensor pool = randn([PoolSize], generator: seeded);
        var spaces = modules.ToDictionary(m => m.Path, m => (
            P: randn([families, m.OutFeatures, rank], generator: seeded), Q: randn([families, rank, m.InFeatures], generator: seeded)));
        string[] folders = [.. Enumerable.Range(first, count).Select(i => Path.Combine(folder, $"adapter-{i:D5}"))];
        Parallel.For(0, count, i =>
        {
            set_num_threads(1);
            var random = new Random(first + i);
            WriteOne(folders[i], spaces, pool, random, random.Next(families));
        });
        return folders;
    }

    private void WriteOne(string path, Dictionary<string, (Tensor P, Tensor Q)> spaces, Tensor pool, Random random, int family)
    {
        using var scope = NewDisposeScope();
        Directory.CreateDirectory(path);
        var writer = new SafetensorsWriter();
        double amplitude = noise * Math.Sqrt(rank);
        foreach (ModuleSpec module in modules)
        {
            using var one = NewDisposeScope();
            var (p, q) = spaces[module.Path];
            Tensor b = p[family].mm(Cut(rank, rank)).Plus(amplitude, Cut(module.OutFeatures, rank));
            Tensor a = Cut(rank, rank).mm(q[family]).Plus(amplitude, Cut(rank, module.InFeatures));
            Add(writer, $"base_model.model.{module.Path}.lora_A.weight", a);
            Add(writer, $"base_model.model.{module.Path}.lora_B.weight", b);
        }

        writer.Save(Path.Combine(path, "adapter_model.safetensors"));
        File.WriteAllText(
            Path.Combine(path, "adapter_config.json"),
            $$"""{"peft_type":"LORA","base_model_name_or_path":"made","r":{{rank}},"lora_alpha":{{2 * rank}},"target_modules":["q_proj","k_proj","v_proj"],"bias":"none"}""");

        Tensor Cut(int rows, int columns) => pool.narrow(0, random.Next(PoolSize - (rows * columns)), rows * columns).view(rows, columns);
    }

    private static void Add(SafetensorsWriter writer, string name, Tensor values) =>
        writer.AddRaw(name, DType.BF16, values.shape, values.to(ScalarType.BFloat16).contiguous().bytes.ToArray());
}
