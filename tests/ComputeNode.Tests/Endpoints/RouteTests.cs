using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Eigengate.ComputeNode.Tests.Endpoints;

public sealed class RouteTests(TinyNode tiny) : IClassFixture<TinyNode>
{
    private readonly HttpClient _client = tiny.Node.Client;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/health")]
    [InlineData("GET", "/ping")]
    [InlineData("POST", "/ping")]
    public async Task Health_IsAnEmpty200(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using HttpResponseMessage response = await _client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task VersionAndLoad_AreDocuments()
    {
        Assert.Matches(@"^\d+\.\d+\.\d+$", (string)(await GetAsync("/version"))["version"]!);
        Assert.Equal(0, (int)(await GetAsync("/load"))["server_load"]!);
    }

    [Fact]
    public async Task Models_ListTheBaseThenTheAdapters()
    {
        JsonArray models = (await GetAsync("/v1/models"))["data"]!.AsArray();
        Assert.Equal("tiny", (string)models[0]!["id"]!);
        Assert.Equal((256, null), ((int)models[0]!["max_model_len"]!, models[0]!["parent"]));
        Assert.Equal(["first", "second"], models.Skip(1).Select(m => (string)m!["id"]!).Order());
        Assert.All(models.Skip(1), m => Assert.Equal("tiny", (string)m!["parent"]!));
        Assert.EndsWith("/adapters/first", (string)(await GetAsync("/v1/models/first"))["root"]!, StringComparison.Ordinal);

        using HttpResponseMessage unknown = await _client.GetAsync("/v1/models/no/such", Cancel);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        JsonNode error = JsonNode.Parse(await unknown.Content.ReadAsStringAsync(Cancel))!["error"]!;
        Assert.Equal("The model `no/such` does not exist.", (string)error["message"]!);
    }

    [Fact]
    public async Task Tokenize_RoundTrips()
    {
        JsonNode tokens = await PostAsync("/tokenize", """{"prompt": "héy", "return_token_strs": true}""");
        Assert.Equal((4, 256), ((int)tokens["count"]!, (int)tokens["max_model_len"]!));
        Assert.Equal("[104,195,169,121]", tokens["tokens"]!.ToJsonString());
        Assert.Equal("h", (string)tokens["token_strs"]![0]!);
        Assert.Equal("héy", (string)(await PostAsync("/detokenize", """{"tokens": [104, 195, 169, 121]}"""))["prompt"]!);
        Assert.Null((await PostAsync("/v1/tokenize", """{"prompt": ""}"""))["token_strs"]);
    }

    [Fact]
    public async Task TokenizedConversation_IsThePromptOfItsChat()
    {
        JsonNode tokens = await PostAsync("/tokenize", """{"messages": [{"role": "user", "content": "hi"}]}""");
        Assert.Equal("<begin>[user]hi[assistant]", (string)(await PostAsync("/detokenize", $$"""{"tokens": {{tokens["tokens"]!.ToJsonString()}}}"""))["prompt"]!);
        JsonNode chat = await PostAsync("/v1/chat/completions", """{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "return_token_ids": true}""");
        Assert.Equal(tokens["tokens"]!.ToJsonString(), chat["prompt_token_ids"]!.ToJsonString());
        Assert.Equal((int)tokens["count"]!, (int)chat["usage"]!["prompt_tokens"]!);
    }

    [Theory]
    [InlineData("/tokenize", """{}""", "Bad Request", "prompt")]
    [InlineData("/tokenize", """{"messages": []}""", "BadRequestError", "messages")]
    [InlineData("/tokenize", """{"messages": [{"role": "user", "content": "a"}], "chat_template": "x"}""", "BadRequestError", "chat_template")]
    [InlineData("/tokenize", """{"prompt": "a", "model": "nobody"}""", "NotFoundError", "model")]
    [InlineData("/detokenize", """{"tokens": [-1]}""", "Bad Request", "tokens.0")]
    [InlineData("/detokenize", """{"tokens": [258]}""", "BadRequestError", "tokens")]
    [InlineData("/v1/completions", """[]""", "Bad Request", "body")]
    [InlineData("/v1/completions", """{"prompt": "a", "request_id": "a\nb"}""", "BadRequestError", "request_id")]
    public async Task BadBodies_AreRefusedByField(string path, string body, string type, string param)
    {
        using HttpResponseMessage response = await _client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Cancel);
        JsonNode error = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!["error"]!;
        Assert.Equal((type, param), ((string)error["type"]!, (string)error["param"]!));
    }

    [Fact]
    public async Task UnknownPath_Is404_WithTheNestedErrorAndDetail()
    {
        using HttpResponseMessage response = await _client.GetAsync("/v1/embeddings", Cancel);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        JsonNode body = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!;
        Assert.Equal(("Not Found", "NotFoundError", 404), ((string)body["detail"]!, (string)body["error"]!["type"]!, (int)body["error"]!["code"]!));
        Assert.Contains("/v1/embeddings", (string)body["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongMethod_Is405_WithAllow()
    {
        using HttpResponseMessage response = await _client.GetAsync("/v1/completions", Cancel);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal("POST", response.Content.Headers.Allow.Single());
        Assert.Equal(405, (int)JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!["error"]!["code"]!);
    }

    [Theory]
    [InlineData("text/plain", false)]
    [InlineData("application/json; charset=utf-8", true)]
    [InlineData("APPLICATION/JSON", true)]
    public async Task ContentType_MustBeJson(string type, bool accepted)
    {
        using var content = new ByteArrayContent("""{"prompt": "a", "max_tokens": 1}"""u8.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        using HttpResponseMessage response = await _client.PostAsync("/v1/completions", content, Cancel);
        Assert.Equal(accepted ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
    }

    private async Task<JsonNode> GetAsync(string path) => JsonNode.Parse(await _client.GetStringAsync(path, Cancel))!;

    private async Task<JsonNode> PostAsync(string path, string body)
    {
        using HttpResponseMessage response = await _client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Cancel);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!;
    }
}
