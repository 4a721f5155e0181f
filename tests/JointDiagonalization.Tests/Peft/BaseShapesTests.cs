using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Peft;

public sealed class BaseShapesTests : IDisposable
{
    private const string Query = "model.layers.0.self_attn.q_proj", Key = "model.layers.0.self_attn.k_proj";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shapes_come_from_a_single_file()
    {
        Model().Save(_folder["model.safetensors"]);
        var shapes = BaseShapes.Read(_folder.Path);
        Assert.Equal([Key, Query], shapes.Keys);
        Assert.Equal(new ModuleShape(2, 6), shapes[Key]);
        Assert.Equal(new ModuleShape(4, 6), shapes[Query]);
    }

    [Fact]
    public void Shapes_come_from_all_shards_of_an_index()
    {
        new SafetensorsWriter().Add($"{Query}.weight", new float[24], [4, 6]).Save(_folder["model-00001-of-00002.safetensors"]);
        new SafetensorsWriter().Add($"{Key}.weight", new float[12], [2, 6]).Save(_folder["model-00002-of-00002.safetensors"]);
        File.WriteAllText(
            _folder["model.safetensors.index.json"],
            $$$"""{"weight_map": {"{{{Query}}}.weight": "model-00001-of-00002.safetensors", "{{{Key}}}.weight": "model-00002-of-00002.safetensors"}}""");
        Assert.Equal([Key, Query], BaseShapes.Read(_folder.Path).Keys);

        File.Delete(_folder["model-00002-of-00002.safetensors"]);
        var error = Assert.Throws<AdapterFormatException>(() => BaseShapes.Read(_folder.Path));
        Assert.Contains("model-00002-of-00002.safetensors is missing", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "weight_map")]
    [InlineData("not json", "weight_map")]
    [InlineData("{\"weight_map\": {\"a\": \"../model.safetensors\"}}", "plain file name")]
    public void An_unusable_index_is_refused(string json, string expected)
    {
        File.WriteAllText(_folder["model.safetensors.index.json"], json);
        Assert.Contains(expected, Assert.Throws<AdapterFormatException>(() => BaseShapes.Read(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_model_is_refused()
    {
        var error = Assert.Throws<AdapterFormatException>(() => BaseShapes.Read(_folder.Path));
        Assert.StartsWith("base model '", error.Message, StringComparison.Ordinal);
        Assert.Contains("model.safetensors", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Query, 4, 6, null)]
    [InlineData(Key, 2, 6, null)]
    [InlineData(Key, 4, 6, "[4, 6]; the base model has [2, 6]")]
    [InlineData("model.layers.9.self_attn.q_proj", 4, 6, "model.layers.9.self_attn.q_proj does not exist")]
    public void An_adapter_must_fit_the_base(string module, int outFeatures, int inFeatures, string? expected)
    {
        Model().Save(_folder["model.safetensors"]);
        PeftFiles.Write(_folder["adapter"], [KeyValuePair.Create(module, Synthetic.Random(new Random(1), outFeatures, inFeatures, 2))]);
        var shapes = BaseShapes.Read(_folder.Path);
        if (expected is null)
            Assert.Equal([module], PeftAdapter.Open(_folder["adapter"], shapes).Modules.Keys);
        else
            Assert.Contains(expected, Assert.Throws<AdapterFormatException>(() => PeftAdapter.Open(_folder["adapter"], shapes)).Message, StringComparison.Ordinal);
    }

    private static SafetensorsWriter Model() => new SafetensorsWriter()
        .Add($"{Query}.weight", new float[24], [4, 6])
        .Add($"{Key}.weight", new float[12], [2, 6])
        .Add("model.norm.weight", new float[6], [6])
        .Add("model.embed_tokens.weight", new float[60], [10, 6]);
}
