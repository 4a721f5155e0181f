using System.Text.Json;
using System.Text.Json.Serialization;

namespace Eigengate.AdapterCache;

/// <summary>Serialization of what the index stores.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AdapterRecord))]
[JsonSerializable(typeof(NodeRecord))]
[JsonSerializable(typeof(BaseRecord))]
internal sealed partial class IndexJson : JsonSerializerContext;
