using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Peft;

public sealed class PeftAdapterTests : IDisposable
{
    private const string Module = "model.layers.0.self_attn.q_proj";
    private readonly TemporaryFolder _folder = new();

    private string Adapter => _folder["my-adapter"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_written_byte_by_byte_gives_the_worked_example()
    {
        // spec/adapters.md §2.1: A = [[1, 2]], B = [[3], [-1]], r = 1, alpha = 4.
        Directory.CreateDirectory(Adapter);
        File.WriteAllText(Path.Combine(Adapter, "adapter_config.json"), """{"peft_type": "LORA", "r": 1, "lora_alpha": 4, "target_modules": ["q_proj"]}""");
        string header = $$$"""
            {"{{{PeftFiles.NameOfA(Module)}}}": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
             "{{{PeftFiles.NameOfB(Module)}}}": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]}}
            """;
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] bytes = new byte[8 + json.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        float[] data = [1, 2, 3, -1];
        for (int i = 0; i < 4; i++)
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(8 + json.Length + (4 * i)), data[i]);
        File.WriteAllBytes(Path.Combine(Adapter, "adapter_model.safetensors"), bytes);

        PeftAdapter adapter = PeftAdapter.Open(Adapter);
        LoraDelta delta = adapter.ReadDelta(Module);

        Assert.Equal("my-adapter", adapter.Id);
        Assert.Equal([Module], adapter.Modules.Keys);
        Assert.Equal(4, delta.Scale);
        Assert.Equal(new double[,] { { 12, 24 }, { -4, -8 } }, Dense.Product(delta));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Every_floating_dtype_is_widened_exactly(DType dtype)
    {
        float[] exact = [1, -2, 0.5f, 0.25f, 3, -0.125f];
        Write(PeftFiles.Config(1), new LoraDelta(exact[..2], exact[2..], 2, 4, 1, 1), dtype);
        LoraDelta delta = PeftAdapter.Open(Adapter).ReadDelta(Module);
        Assert.Equal(exact[..2], delta.B);
        Assert.Equal(exact[2..], delta.A);
    }

    [Theory]
    [InlineData(64, 16.0, true, 2.0)]
    [InlineData(64, 16.0, false, 0.25)]
    [InlineData(4, null, false, 2.0)]
    [InlineData(4, 6.5, false, 1.625)]
    public void The_scale_follows_alpha_rank_and_stabilisation(int rank, double? alpha, bool stabilised, double expected)
    {
        JsonObject config = PeftFiles.Config(rank, alpha);
        if (alpha is null)
            config.Remove("lora_alpha");
        config["use_rslora"] = stabilised;
        Write(config, Synthetic.Random(new Random(1), 4, 5, rank));
        Assert.Equal(expected, PeftAdapter.Open(Adapter).Modules[Module].Scale);
    }

    [Fact]
    public void Rank_and_alpha_patterns_win_by_first_match_in_file_order()
    {
        JsonObject config = PeftFiles.Config(8);
        config["rank_pattern"] = new JsonObject { ["k_proj"] = 1, [@"layers\.0\.self_attn\..*"] = 2, ["q_proj"] = 5 };
        config["alpha_pattern"] = new JsonObject { ["proj"] = 99, [@"q_pro.?"] = 3 };
        Write(config, Synthetic.Random(new Random(1), 4, 5, 2));
        PeftModule module = PeftAdapter.Open(Adapter).Modules[Module];
        Assert.Equal(2, module.Rank);
        Assert.Equal(1.5, module.Scale);
    }

    [Theory]
    [InlineData("base_model.model.{0}.lora_{1}.weight")]
    [InlineData("base_model.model.{0}.lora_{1}.default.weight")]
    [InlineData("base_model.model._orig_mod.{0}.lora_{1}.weight")]
    [InlineData("base_model.model.module.{0}.lora_{1}.weight")]
    [InlineData("{0}.lora_{1}.weight")]
    public void Tensor_name_spellings_lead_to_the_same_module(string format)
    {
        var writer = new SafetensorsWriter()
            .Add(string.Format(null, format, Module, "A"), [1, 2], [1, 2])
            .Add(string.Format(null, format, Module, "B"), [3, -1], [2, 1]);
        PeftFiles.Write(Adapter, PeftFiles.Config(1), writer);
        Assert.Equal([Module], PeftAdapter.Open(Adapter).Modules.Keys);
    }

    [Fact]
    public void The_digest_changes_with_either_file_and_with_nothing_else()
    {
        Write(PeftFiles.Config(2), Synthetic.Random(new Random(1), 4, 5, 2));
        string digest = PeftAdapter.Open(Adapter).ComputeDigest();
        Assert.Equal(64, digest.Length);
        File.WriteAllText(Path.Combine(Adapter, "README.md"), "ignored");
        Assert.Equal(digest, PeftAdapter.Open(Adapter).ComputeDigest());
        File.AppendAllText(Path.Combine(Adapter, "adapter_config.json"), "\n");
        string other = PeftAdapter.Open(Adapter).ComputeDigest();
        Assert.NotEqual(digest, other);
        PeftFiles.Weights([KeyValuePair.Create(Module, Synthetic.Random(new Random(2), 4, 5, 2))]).Save(Path.Combine(Adapter, "adapter_model.safetensors"));
        Assert.NotEqual(other, PeftAdapter.Open(Adapter).ComputeDigest());
    }

    [Fact]
    public void Folders_are_found_in_ordinal_order_and_unrelated_ones_left_alone()
    {
        foreach (string name in new[] { "b", "a", "B" })
            PeftFiles.Write(_folder[name], [KeyValuePair.Create(Module, Synthetic.Random(new Random(1), 4, 5, 2))]);
        Directory.CreateDirectory(_folder["notes"]);
        Assert.Equal(["B", "a", "b"], PeftAdapter.FindFolders(_folder.Path).Select(Path.GetFileName));
        Assert.Equal([_folder["a"]], PeftAdapter.FindFolders(_folder["a"]));
    }

    [Fact]
    public void A_non_finite_value_is_named_by_tensor_and_index()
    {
        LoraDelta good = Synthetic.Random(new Random(1), 4, 5, 2);
        float[] a = [.. good.A];
        a[7] = float.NaN;
        Write(PeftFiles.Config(2), new LoraDelta(good.B, a, 4, 5, 2, 1));
        var error = Assert.Throws<AdapterFormatException>(PeftAdapter.Open(Adapter).RequireFinite);
        Assert.Contains("'my-adapter'", error.Message, StringComparison.Ordinal);
        Assert.Contains(PeftFiles.NameOfA(Module), error.Message, StringComparison.Ordinal);
        Assert.Contains("NaN at [1, 2]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_after_opening_is_refused_when_read()
    {
        Write(PeftFiles.Config(2), Synthetic.Random(new Random(1), 4, 5, 2));
        PeftAdapter adapter = PeftAdapter.Open(Adapter);
        string path = Path.Combine(Adapter, "adapter_model.safetensors");
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^4]);
        Assert.Contains("ends early", Assert.Throws<AdapterFormatException>(() => adapter.ReadDelta(Module)).Message, StringComparison.Ordinal);
    }

    private void Write(JsonObject config, LoraDelta delta, DType dtype = DType.F32) =>
        PeftFiles.Write(Adapter, config, PeftFiles.Weights([KeyValuePair.Create(Module, delta)], dtype));
}
